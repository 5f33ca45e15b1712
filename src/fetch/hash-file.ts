/** sha256 of a file, read once from start to end. */
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { openInput } from '../io/input-file.ts'
import { openOwn } from '../io/ownership.ts'
import type { Progress, Task } from '../progress.ts'
import { MiB } from '../units.ts'

/** Feed all of a file to `hash`; returns how many bytes there were. */
export async function hashInto(
  hash: Hash,
  handle: FileHandle,
  task: Task,
  about: Pick<Progress, 'phase' | 'subject'>,
): Promise<number> {
  const totalBytes = (await handle.stat()).size
  const buffer = Buffer.allocUnsafe(MiB)
  let done = 0
  while (done < totalBytes) {
    task.signal.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, totalBytes - done), done)
    if (bytesRead === 0) break
    hash.update(buffer.subarray(0, bytesRead))
    done += bytesRead
    task.report({ ...about, bytes: done, totalBytes })
  }
  return done
}

interface Hashed {
  /** Bytes. */
  size: number
  /** Lower-case hex. */
  sha256: string
}

async function hashOpen(handle: FileHandle, task: Task, subject: string): Promise<Hashed> {
  const hash = createHash('sha256')
  try {
    const size = await hashInto(hash, handle, task, { phase: 'check', subject })
    return { size, sha256: hash.digest('hex') }
  } finally {
    await handle.close()
  }
}

/** A file wherever the user keeps it. */
export const hashFile = async (path: string, task: Task, subject: string): Promise<Hashed> =>
  hashOpen(await openInput(path), task, subject)

/** A file of the cache, which is no link. */
export const hashOwnFile = async (path: string, task: Task, subject: string): Promise<Hashed> =>
  hashOpen(await openOwn(path), task, subject)
