/** Node's zlib streams (gzip, zstd, raw deflate) as decoders of this room: errors with place, and nothing left over. */
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
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
  const feeding = pipeline(Readable.from(pieces, { objectMode: false }), decoder, { signal })
  // Its failure shows in the loop below as well; here it only must not go unheard.
  feeding.catch(() => {})
  try {
    yield* decoder
    await feeding
  } catch (error) {
    signal.throwIfAborted()
    if (!isZlibError(error)) throw error
    throw brokenFile(range, range.format, range.offset + decoder.bytesWritten, error.message, {
      cause: error,
    })
  } finally {
    decoder.destroy()
  }
  return decoder.bytesWritten
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
