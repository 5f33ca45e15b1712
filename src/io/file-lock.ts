/**
 * One piimage at a time for a file that it makes or changes. The lock lies
 * beside the file as `.<name>.lock`; one that a killed process left is taken
 * over (./entry-lock.ts).
 */
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EntryLock, tryLockEntry } from './entry-lock.ts'

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
  for (;;) {
    let lock: ReturnType<typeof tryLockEntry>
    try {
      lock = tryLockEntry(lockOf(path))
    } catch (error) {
      // In a folder where nothing can be left (or that isn't there), a file of ours may still be
      // changed, and of one that can't be made its maker says so in better words.
      if (!/^(EACCES|EPERM|EROFS|ENOENT|ENOTDIR)$/.test(String((error as NodeJS.ErrnoException).code)))
        throw error
      return { release() {} }
    }
    if ('release' in lock || lock.heldBy !== 0) return lock
    // A lock without a name in it is being made, or was torn by a kill: the next moments show which.
    await sleep(TORN_POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

const TORN_POLL_MS = 100
