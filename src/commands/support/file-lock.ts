/**
 * One piimage at a time for a file that is read, changed and written again.
 * The lock lies beside it as `.<name>.lock`; one that a killed process left is
 * taken over (../../io/entry-lock.ts).
 */
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { UsageError } from '../../errors.ts'
import { type EntryLock, lockEntry, tryLockEntry } from '../../io/entry-lock.ts'
import type { Context } from '../command.ts'

const lockOf = (path: string): string => join(dirname(path), `.${basename(path)}.lock`)

/** For changes that take a moment: wait for the other, saying so. @throws the signal's reason */
export async function whileFileLocked<T>(
  path: string,
  { world, output }: Context,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await lockEntry(lockOf(path), world.signal, (pid) =>
    output.note(`waiting for process ${pid}, which works on ${path}`),
  )
  try {
    return await work()
  } finally {
    lock.release()
  }
}

/**
 * For changes that take long: the second is told at once.
 * @param doing what the first one does, after "another piimage"
 * @throws {UsageError} another process has it
 */
export async function lockFileOrRefuse(path: string, doing: string, signal: AbortSignal): Promise<EntryLock> {
  for (;;) {
    let lock: ReturnType<typeof tryLockEntry>
    try {
      lock = tryLockEntry(lockOf(path))
    } catch (error) {
      // A folder of somebody else's, with a file in it that is ours to change: nothing can be left there.
      if (!/^(EACCES|EPERM|EROFS)$/.test(String((error as NodeJS.ErrnoException).code))) throw error
      return { release() {} }
    }
    if ('release' in lock) return lock
    if (lock.heldBy !== 0)
      throw new UsageError(`another piimage (process ${lock.heldBy}) ${doing}`, {
        hint: 'Wait for it to end, then run the command again.',
      })
    // A lock without a name in it is being made, or was torn by a kill: the next moments show which.
    await sleep(TORN_POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

const TORN_POLL_MS = 100
