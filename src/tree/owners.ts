/** Whether owners can be kept: the one thing that extraction needs root for. */
import { UsageError } from '../errors.ts'

export interface OwnerOptions {
  /**
   * False: everything belongs to whoever runs piimage; devices, and attributes that only root may set, are left
   * out. Such a tree is for looking at: it doesn't boot. Default true.
   */
  owners?: boolean
}

/** @throws {UsageError} owners are wanted and only root can give files away */
export function checkOwners(options: OwnerOptions): boolean {
  const owners = options.owners ?? true
  if (owners && process.geteuid?.() !== 0)
    throw new UsageError('only root can give the files of a root file system their owners', {
      hint: 'Run it with sudo, or use --tar to get an archive instead, which needs no root.',
    })
  return owners
}
