/** sha256 of a file, read once from start to end. */
import { createHash, type Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Progress, Task } from '../progress.ts'
import { MiB } from '../units.ts'

/** Feed the first `length` bytes of `path` (all of it by default) to `hash`; returns how many there were. */
export async function hashInto(
  hash: Hash,
  path: string,
  task: Task,
  about: Pick<Progress, 'phase' | 'subject'>,
  length = Number.POSITIVE_INFINITY,
): Promise<number> {
  const handle = await open(path, 'r')
  try {
    const totalBytes = Math.min(length, (await handle.stat()).size)
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
  } finally {
    await handle.close()
  }
}

/** @returns size in bytes and sha256 in lower-case hex */
export async function hashFile(
  path: string,
  task: Task,
  subject: string,
): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256')
  const size = await hashInto(hash, path, task, { phase: 'check', subject })
  return { size, sha256: hash.digest('hex') }
}
