/**
 * gzip, by Node's own zlib. Several members one after another (pigz, bgzip,
 * `cat a.gz b.gz`) are one image; anything else behind a member is an error.
 * Source: RFC 1952.
 */
import { createGunzip } from 'node:zlib'
import { type Decoding, type PackedFile, readPieces } from './decoding.ts'
import { decodeWithZlib, refuseLeftover } from './zlib-stream.ts'

/** How long the image is stands nowhere: the last member's ISIZE counts modulo 4 GiB, and only itself. */
export function decodeGzip(file: PackedFile, signal: AbortSignal): Decoding {
  return { totalBytes: null, chunks: members(file, signal) }
}

async function* members(file: PackedFile, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const range = { path: file.path, format: 'gzip', offset: 0, length: file.size }
  const pieces = readPieces(file, 0, file.size, signal)
  const used = yield* decodeWithZlib(range, pieces, (options) => createGunzip(options), signal)
  refuseLeftover(range, used)
}
