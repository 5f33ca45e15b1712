/** Node's zlib streams (gzip, zstd, raw deflate) as decoders of this room: errors with place, and nothing left over. */
import type { Transform } from 'node:stream'
import { brokenFile, CHUNK_BYTES } from './decoding.ts'

/** Which bytes of which file the stream gets. */
export interface PackedRange {
  path: string
  /** For people. */
  format: string
  offset: number
  length: number
}

interface ZlibStream extends Transform {
  /** Bytes of input used up. */
  readonly bytesWritten: number
}

/**
 * @param open makes the stream, with the chunk size of this room
 * @returns (when exhausted) how many bytes of the range were used up: a stream ends where its format ends
 * @throws {FormatError} the stream says so
 */
export async function* decodeWithZlib(
  range: PackedRange,
  pieces: AsyncIterable<Uint8Array>,
  open: (options: { chunkSize: number }) => Transform,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, number> {
  const decoder = open({ chunkSize: CHUNK_BYTES }) as ZlibStream
  feed(decoder, pieces).catch((error: Error) => decoder.destroy(error))
  const stop = (): void => void decoder.destroy(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    yield* decoder
  } catch (error) {
    signal.throwIfAborted()
    if (!isZlibError(error)) throw error
    throw brokenFile(range, range.format, range.offset + decoder.bytesWritten, error.message, {
      cause: error,
    })
  } finally {
    signal.removeEventListener('abort', stop)
    decoder.destroy()
  }
  return decoder.bytesWritten
}

/**
 * Piece by piece, and no further than the decoder wants: Node's zstd decoder
 * drops what is behind the end of a frame and would go on with the next piece.
 */
async function feed(decoder: ZlibStream, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  let fed = 0
  for await (const piece of pieces) {
    fed += piece.length
    await new Promise<void>((resolve) => void decoder.write(piece, () => resolve()))
    if (decoder.destroyed) return
    if (decoder.bytesWritten < fed) break
  }
  decoder.end()
}

/** @throws {FormatError} unless a decoder used up all of its range */
export function refuseLeftover(range: PackedRange, used: number): void {
  if (used === range.length) return
  throw brokenFile(range, range.format, range.offset + used, `${range.length - used} other bytes follow it`)
}

function isZlibError(error: unknown): error is Error {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(Z_|ZSTD_|ERR_)/.test(code)
}
