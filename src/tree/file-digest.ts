/** The digest of a file whose holes are left out on the way: they count as the zeroes they read as. */
import type { Hash } from 'node:crypto'
import { setImmediate as yieldToEvents } from 'node:timers/promises'
import type { Range } from '../disk/blocks.ts'
import { MiB } from '../units.ts'

const zeroes = new Uint8Array(MiB)
/** A hole costs nothing to make and a second a gigabyte to read: signals are heard in between. */
const DEAF_BYTES = 64 * MiB

/**
 * Pass `chunks` on, and give `hash` the whole file.
 *
 * @param data where the bytes of `chunks` belong; undefined for a file without holes
 * @param size of the whole file
 * @param signal looked at in large holes
 */
export async function* digested(
  chunks: AsyncIterable<Uint8Array>,
  data: readonly Range[] | undefined,
  size: number,
  hash: Hash,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (data === undefined) {
    for await (const chunk of chunks) {
      hash.update(chunk)
      yield chunk
    }
    return
  }
  let run = 0
  let at = 0
  for await (const chunk of chunks) {
    for (let done = 0; done < chunk.length; ) {
      const { offset, length } = data[run] as Range
      if (at < offset) {
        await hashZeroes(hash, offset - at, signal)
        at = offset
      }
      const part = chunk.subarray(done, done + offset + length - at)
      hash.update(part)
      done += part.length
      at += part.length
      if (at === offset + length) run += 1
    }
    yield chunk
  }
  await hashZeroes(hash, size - at, signal)
}

async function hashZeroes(hash: Hash, length: number, signal: AbortSignal): Promise<void> {
  for (let done = 0; done < length; done += MiB) {
    hash.update(zeroes.subarray(0, Math.min(length - done, MiB)))
    if (done % DEAF_BYTES !== 0) continue
    await yieldToEvents()
    signal.throwIfAborted()
  }
}
