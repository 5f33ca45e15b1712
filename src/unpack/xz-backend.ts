/**
 * The decoders of whole .xz files that run inside a worker thread.
 *
 * `wasm`: xz-decompress (xz-embedded compiled to WebAssembly), always there.
 * It streams, keeps one dictionary, knows LZMA2 only, and dictionaries up to
 * 64 MiB. The package is CommonJS without detectable named exports, hence require.
 */
import { createRequire } from 'node:module'
import { ReadableStream } from 'node:stream/web'

export type XzBackend = 'wasm'

/** The largest dictionary xz-decompress allocates. */
export const WASM_DICTIONARY_BYTES = 64 * 1024 * 1024

interface XzDecompress {
  XzReadableStream: new (packed: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>
}

let xzDecompress: XzDecompress | undefined

/**
 * @param pieces the .xz file; each piece is used up before the next is asked for
 * @throws {Error} the decoder's own words
 */
export async function* decodeWholeXz(
  _backend: XzBackend,
  pieces: Generator<Uint8Array>,
  _size: number,
): AsyncGenerator<Uint8Array> {
  xzDecompress ??= createRequire(import.meta.url)('xz-decompress') as XzDecompress
  const packed = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const { done, value } = pieces.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
    },
    // No piece is asked for before it is needed: the pieces share one buffer.
    { highWaterMark: 0 },
  )
  yield* new xzDecompress.XzReadableStream(packed)
}
