/** Chunks of any length → chunks of exactly CHUNK_BYTES, so that offsets are aligned for whoever writes them. */
import { CHUNK_BYTES } from './decoding.ts'

/** The last chunk may be shorter. A chunk is good until the next is asked for. */
export async function* alignChunks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const gathered = Buffer.allocUnsafe(CHUNK_BYTES)
  let filled = 0
  for await (const chunk of chunks) {
    let taken = 0
    while (taken < chunk.length) {
      // Most chunks are whole already and pass without a copy.
      if (filled === 0 && chunk.length - taken >= CHUNK_BYTES) {
        yield Buffer.from(chunk.buffer, chunk.byteOffset + taken, CHUNK_BYTES)
        taken += CHUNK_BYTES
        continue
      }
      const part = chunk.subarray(taken, taken + CHUNK_BYTES - filled)
      gathered.set(part, filled)
      filled += part.length
      taken += part.length
      if (filled === CHUNK_BYTES) {
        yield gathered
        filled = 0
      }
    }
  }
  if (filled > 0) yield gathered.subarray(0, filled)
}
