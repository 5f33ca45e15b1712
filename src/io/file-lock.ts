/**
 * One piimage at a time for a file that it makes or changes. The lock lies
 * beside the file as `.<name>.lock`; one that a killed process left is taken
 * over (./entry-lock.ts).
 */
import { basename, dirname, join } from 'node:path'
import { type EntryLock, lockUnlessAlive } from './entry-lock.ts'

export const lockOf = (path: string): string => join(dirname(path), `.${basename(path)}.lock`)

/**
 * Take a file's lock, or say who has it.
 * @returns the process number of the live holder, when there is one
 * @throws the signal's reason
 */
export async function tryLockFile(
  path: string,
  signal: AbortSignal,
): Promise<EntryLock | { heldBy: number }> {
  try {
    return await lockUnlessAlive(lockOf(path), signal)
  } catch (error) {
    // In a folder where nothing can be left (or that isn't there), a file of ours may still be
    // changed, and of one that can't be made its maker says so in better words.
    if (!/^(EACCES|EPERM|EROFS|ENOENT|ENOTDIR)$/.test(String((error as NodeJS.ErrnoException).code)))
      throw error
    return { release() {} }
  }
}
