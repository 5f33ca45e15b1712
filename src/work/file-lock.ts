/** Changes to a file which another piimage may be changing. */

import { UsageError } from '../errors.ts'
import { type EntryLock, lockEntry } from '../io/entry-lock.ts'
import { lockOf, tryLockFile } from '../io/file-lock.ts'
import { type Caller, note } from './caller.ts'

/** For changes that take a moment: wait for the other, saying so. @throws the signal's reason */
export async function whileFileLocked<T>(path: string, caller: Caller, work: () => Promise<T>): Promise<T> {
  const lock = await lockEntry(lockOf(path), caller.signal, (pid) =>
    note(caller, `waiting for process ${pid}, which works on ${path}`),
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
  const lock = await tryLockFile(path, signal)
  if ('release' in lock) return lock
  throw new UsageError(`another piimage (process ${lock.heldBy}) ${doing}`, {
    hint: 'Wait for it to end, then run the command again.',
  })
}
