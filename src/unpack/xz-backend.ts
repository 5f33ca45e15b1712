/**
 * The decoders of whole .xz files that run inside a worker thread; both stream.
 *
 * `native`: @napi-rs/lzma, an optional dependency with prebuilt binaries; needs
 * Node 22.20. About 1.5 times as fast.
 * `wasm`: xz-decompress (xz-embedded compiled to WebAssembly), always there.
 * Knows LZMA2 only, with dictionaries up to 64 MiB.
 */
import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import xzDecompress from 'xz-decompress'
import { MiB } from '../units.ts'

export type XzBackend = 'wasm' | 'native'

/** What each can decode. Dictionaries: what xz-decompress allocates at most; what fits our memory. */
export const ABILITIES: Record<XzBackend, { filters: readonly string[]; dictionaryBytes: number }> = {
  wasm: { filters: ['lzma2'], dictionaryBytes: 64 * MiB },
  native: {
    filters: ['lzma2', 'delta', 'x86', 'powerpc', 'ia64', 'arm', 'armthumb', 'sparc', 'arm64'],
    dictionaryBytes: 128 * MiB,
  },
}

/** Not bundled, unlike everything else: it is optional, and has binaries for each platform. */
const require = createRequire(import.meta.url)

/** CommonJS without detectable named exports. */
const { XzReadableStream } = xzDecompress as unknown as {
  XzReadableStream: new (packed: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>
}

interface NativeLzma {
  createDecompressStream(): Duplex
}

/** The faster backend of those that load here. */
export function chooseBackend(): XzBackend {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 22 || (major === 22 && minor < 20)) return 'wasm'
  try {
    require('@napi-rs/lzma/xz')
    return 'native'
  } catch {
    // Not installed, or no binary for this platform.
    return 'wasm'
  }
}

/**
 * @param pieces the .xz file; each piece is used up before the next is asked for
 * @throws {Error} the decoder's own words
 */
export function decodeWholeXz(backend: XzBackend, pieces: Iterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return backend === 'native' ? decodeNative(pieces) : decodeWasm(pieces)
}

function decodeWasm(pieces: Iterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const iterator = pieces[Symbol.iterator]()
  const packed = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const { done, value } = iterator.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
    },
    // No piece is asked for before it is needed: the pieces share one buffer.
    { highWaterMark: 0 },
  )
  return new XzReadableStream(packed)
}

async function* decodeNative(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { createDecompressStream } = require('@napi-rs/lzma/xz') as NativeLzma
  const decoder = createDecompressStream()
  const feed = async (): Promise<void> => {
    for (const piece of pieces) {
      // A copy: the decoder's own thread may still read it when the next piece is made.
      await new Promise<void>((resolve) => void decoder.write(Buffer.from(piece), () => resolve()))
    }
    decoder.end()
  }
  feed().catch((error: unknown) => decoder.destroy(error instanceof Error ? error : new Error(String(error))))
  yield* decoder
}
