/**
 * piimage's own JSON files on a server. They outlive the piimage that wrote
 * them, and a drive that failed or a hand that meant well may have been in
 * them: each says its version, and is checked before anything is believed.
 */
import { statSync } from 'node:fs'
import { NetrootError } from '../errors.ts'
import { MiB } from '../units.ts'
import { readInputText } from './input-file.ts'
import { type Check, hasFields, isNumber } from './shape.ts'

export interface StateFormat {
  /** For messages: `the record of …`. */
  what: string
  /** What this piimage writes: 1 or more. Files from before there were versions are of version 0. */
  version: number
  /** Of the newest version. */
  check: Check
  /** From the version at this index to the next. */
  migrations: readonly ((older: unknown) => unknown)[]
  /** What to do about a file that is none of these. */
  hint: string
}

/** Of a thousand nodes. */
const LONGEST_STATE = 256 * MiB

/**
 * @returns what was written, without its version; undefined: there is no file
 * @throws {NetrootError} torn, of another kind, or of a newer piimage
 */
export function readState<T>(format: StateFormat, path: string): T | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return undefined
  if (!found.isFile())
    throw new NetrootError(`${path} is not ${format.what}: it is not a file`, { hint: format.hint })
  return parseState<T>(format, readInputText(path, LONGEST_STATE), path)
}

/** @throws as readState; @param path for messages */
export function parseState<T>(format: StateFormat, text: string, path: string): T {
  const refuse = (problem: string, cause?: unknown) =>
    new NetrootError(`${path} is not ${format.what}: ${problem}`, { hint: format.hint, cause })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw refuse((cause as Error).message, cause)
  }
  const isVersioned = hasFields({ version: isNumber })(value, '') === undefined
  const found = isVersioned ? (value as { version: number }).version : 0
  if (found > format.version)
    throw new NetrootError(
      `${path} was written by a newer piimage: it has version ${found}, and this one knows ${format.version}`,
      { hint: 'Run the piimage that wrote it, or a newer one.' },
    )
  if (!Number.isInteger(found) || found < 0 || (isVersioned && found === 0))
    throw refuse(`version ${found} is unknown`)
  try {
    for (const migrate of format.migrations.slice(found)) value = migrate(value)
  } catch (cause) {
    throw refuse(`it could not be read as version ${found}`, cause)
  }
  const wrong = format.check(value, '')
  if (wrong !== undefined) throw refuse(wrong)
  const { version: _, ...rest } = value as { version?: number }
  return rest as T
}

export const formatState = ({ version }: Pick<StateFormat, 'version'>, value: object): string =>
  `${JSON.stringify({ version, ...value }, undefined, 1)}\n`
