/**
 * zstd: Node's own decoder from Node 24 on, else the `zstd` program.
 *
 * Node 22 has a decoder too, but takes a truncated file for a whole one. All of
 * them stop at the end of a frame when the next one is in the same piece of
 * input (pzstd and `cat a.zst b.zst` make many frames), so frames are decoded
 * by a decoder each.
 * Source: RFC 8878 §3.1.
 */
import type { Transform } from 'node:stream'
import zlib from 'node:zlib'
import { FormatError } from '../errors.ts'
import { MiB } from '../units.ts'
import { type Decoding, type PackedFile, readPieces, readUpTo } from './decoding.ts'
import { decodeWithProgram, hasProgram } from './program.ts'
import { decodeWithZlib } from './zlib-stream.ts'

const FIRST_SOUND_NODE = 24
/** What libzstd decodes unless told otherwise (`--long=27`); larger windows would not fit our memory. */
const MAX_WINDOW_BYTES = 128 * MiB

/** In @types/node only from 22 on. */
const { createZstdDecompress } = zlib as unknown as {
  createZstdDecompress?: (options: { chunkSize: number }) => Transform
}

/** @throws {FormatError} nothing here can decode it */
export async function decodeZstd(file: PackedFile, signal: AbortSignal): Promise<Decoding> {
  const sound = Number.parseInt(process.versions.node, 10) >= FIRST_SOUND_NODE
  const windowBytes = readWindowBytes(await readUpTo(file, 0, 18))
  if (createZstdDecompress !== undefined && sound && windowBytes <= MAX_WINDOW_BYTES) {
    return { totalBytes: null, chunks: decodeFrames(file, createZstdDecompress, signal) }
  }
  if (hasProgram('zstd')) {
    const args = ['--decompress', '--stdout', '--quiet', '--long=31', '-']
    return { totalBytes: null, chunks: decodeWithProgram('zstd', args, file, signal) }
  }
  throw new FormatError(
    windowBytes > MAX_WINDOW_BYTES
      ? `${file.path} is a zstd file with a window of ${Math.round(windowBytes / MiB)} MiB, which needs the zstd program`
      : `${file.path} is a zstd file, which Node ${process.versions.node} cannot decode reliably`,
    { hint: `Install the zstd program (apt install zstd), or use Node ${FIRST_SOUND_NODE} or newer.` },
  )
}

async function* decodeFrames(
  file: PackedFile,
  open: (options: { chunkSize: number }) => Transform,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < file.size; ) {
    const range = { path: file.path, format: 'zstd', offset, length: file.size - offset }
    offset += yield* decodeWithZlib(range, readPieces(file, offset, file.size, signal), open, signal)
  }
}

/** The window of the first frame, by its descriptor; 0 where it has none (a skippable frame, or a single segment). */
function readWindowBytes(start: Buffer): number {
  const descriptor = start[4] ?? 0
  if (start[0] !== 0x28) return 0
  if (descriptor & 0x20) return readContentBytes(start, descriptor)
  const window = start[5] ?? 0
  const base = 2 ** (10 + Math.floor(window / 8))
  return base + (base / 8) * (window % 8)
}

/** A single-segment frame keeps all of its content as its window. */
function readContentBytes(start: Buffer, descriptor: number): number {
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 0x03] ?? 0
  const at = 5 + dictionaryIdBytes
  const kind = Math.floor(descriptor / 64)
  if (start.length < at + 2 ** kind) return 0
  if (kind === 0) return start[at] ?? 0
  if (kind === 1) return start.readUInt16LE(at) + 256
  return kind === 2 ? start.readUInt32LE(at) : Number(start.readBigUInt64LE(at))
}
