/** Code that can't be loaded says nothing about the image it was to read. */
import { InstallError } from './errors.ts'

/** @returns undefined: nothing is missing */
export function brokenInstall(error: unknown): InstallError | undefined {
  const { code, message = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return undefined
  const [, missing] = /^Cannot find (?:package|module) '([^']+)'/.exec(message) ?? []
  return new InstallError(missing ?? message, error)
}
