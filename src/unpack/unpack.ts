/**
 * A compressed file → the raw disk image in it.
 *
 *     file ─ sniff ─► decoder ─► limits ─► sha256 ─► aligned chunks ─► onChunk
 *
 * One pass, memory bounded by a constant. The chunks come in order and only as
 * fast as `onChunk` takes them. What comes out is the image only when the
 * promise resolves: size and digest are compared at the end.
 */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { DigestError } from '../digest.ts'
import { FetchError, FormatError } from '../errors.ts'
import { openInput, UnfitFileError } from '../io/input-file.ts'
import type { Task } from '../progress.ts'
import { formatBytes, GiB } from '../units.ts'
import { alignChunks } from './chunker.ts'
import { type Decoding, type PackedFile, readPieces, readUpTo } from './decoding.ts'
import { type PackFormat, SNIFF_BYTES, sniff } from './sniff.ts'
import { createSparseFile } from './sparse-file.ts'

export interface UnpackRequest {
  /** Path of the compressed file. */
  source: string
  /** In progress reports and messages; default: the file's name. */
  subject?: string
  /** The image's name inside a zip; default: the only `.img`. */
  member?: string
  /** What the image must be; null or absent: nobody has said. */
  expected?: { size: number | null; sha256: string } | null
  /** Who says so, for the message; default: images.lock.json. */
  saidBy?: string
  /**
   * Of a source that is still being downloaded: the size it will have, and a
   * promise for its first bytes. Formats that need its end first wait for it.
   */
  growing?: {
    size: number
    reach: (end: number) => Promise<void>
    /** It, open for reading whatever becomes of its name; closed at the end. */
    handle: FileHandle
  }
  /** The most bytes an image of unknown size may have. Default 64 GiB. */
  maxBytes?: number
}

/** The image that came out. */
export interface Unpacked {
  /** Bytes. */
  size: number
  /** Lower-case hex. */
  sha256: string
  format: PackFormat
}

/**
 * Called with each chunk in order; the next comes when its promise resolves.
 * `bytes` is good until then. Every chunk but the last has 1 MiB.
 */
export type OnChunk = (bytes: Buffer, offset: number) => Promise<void> | void

const DEFAULT_MAX_BYTES = 64 * GiB

/**
 * Unpack, and hand every byte to `onChunk`.
 * @throws {FormatError} damaged, unknown, or more than `maxBytes`
 * @throws {DigestError} whole, but not the image that was expected
 * @throws {FetchError} of another size than expected; or the file can't be read
 */
export async function unpackStream(request: UnpackRequest, onChunk: OnChunk, task: Task): Promise<Unpacked> {
  const file: PackedFile =
    request.growing === undefined
      ? await openPacked(request.source)
      : { path: request.source, ...request.growing }
  try {
    task.signal.throwIfAborted()
    const format = sniff(await readUpTo(file, 0, SNIFF_BYTES), file.path)
    const { totalBytes, chunks } = await openDecoding(file, format, request, task.signal)
    const limit = limitOf(request)
    if (totalBytes !== null) limit(totalBytes)

    const hash = createHash('sha256')
    const subject = request.subject ?? basename(request.source)
    const total = totalBytes ?? request.expected?.size ?? null
    let size = 0
    for await (const chunk of alignChunks(chunks)) {
      limit(size + chunk.length)
      const taken = onChunk(chunk, size)
      // Hashing keeps this thread busy while the bytes are being written elsewhere.
      hash.update(chunk)
      await taken
      task.signal.throwIfAborted()
      size += chunk.length
      task.report({ phase: 'unpack', subject, bytes: size, totalBytes: total })
    }
    return checkUnpacked(request, { size, sha256: hash.digest('hex'), format })
  } finally {
    await file.handle.close()
  }
}

export interface UnpackFileRequest extends UnpackRequest {
  /** Path of the new file. */
  target: string
  /** Told how many bytes from the start can be read from `target`, zeroes included. */
  onGrowth?: (bytes: number) => void
}

/**
 * Unpack into a new sparse file, flushed to its disk. Whatever goes wrong,
 * `target` is gone afterwards.
 * @param request `target` must be no device; a file that is there is replaced
 * @throws as unpackStream; FetchError when the disk is full
 */
export async function unpackFile(request: UnpackFileRequest, task: Task): Promise<Unpacked> {
  const target = await createSparseFile(request.target, request.expected?.size ?? 0)
  try {
    const write: OnChunk = async (bytes, offset) => {
      await target.write(bytes, offset)
      request.onGrowth?.(offset + bytes.length)
    }
    const unpacked = await unpackStream(request, write, task)
    await target.finish(unpacked.size)
    task.signal.throwIfAborted()
    await target.close()
    return unpacked
  } catch (error) {
    await target.discard()
    throw nameFullDisk(error, request.target)
  }
}

async function openPacked(path: string): Promise<PackedFile> {
  const handle = await openInput(path).catch((error: Error) => {
    if (error instanceof UnfitFileError) throw new FetchError(error.message, error)
    throw new FetchError(`${path} cannot be read: ${error.message}`, { cause: error })
  })
  return { path, handle, size: (await handle.stat()).size }
}

/** Only the decoder that is needed is loaded. */
async function openDecoding(
  file: PackedFile,
  format: PackFormat,
  request: UnpackRequest,
  signal: AbortSignal,
): Promise<Decoding> {
  switch (format) {
    case 'xz':
      return (await import('./xz.ts')).decodeXz(file, (request.expected ?? null) === null, signal)
    case 'gz':
      return (await import('./gzip.ts')).decodeGzip(file, signal)
    case 'zst':
      return (await import('./zstd.ts')).decodeZstd(file, signal)
    case 'zip':
      await file.reach?.(file.size)
      return (await import('./zip.ts')).decodeZip(file, request.member, signal)
    case 'img':
      return { totalBytes: file.size, chunks: readPieces(file, 0, file.size, signal) }
  }
}

/** Refuses a size, declared or reached, beyond what the image may have: the whole of it, holes included. */
function limitOf(request: UnpackRequest): (size: number) => void {
  const expectedSize = request.expected?.size ?? null
  const maxBytes = request.maxBytes ?? DEFAULT_MAX_BYTES
  return (size) => {
    if (expectedSize !== null && size > expectedSize)
      throw wrongSize(request, `more than ${expectedSize} bytes`, expectedSize)
    if (expectedSize === null && size > maxBytes) {
      throw new FormatError(`${request.source} unpacks to more than ${formatBytes(maxBytes)}`, {
        hint: 'No card image is that large. If this one is, put its size into images.lock.json.',
      })
    }
  }
}

function checkUnpacked(request: UnpackRequest, unpacked: Unpacked): Unpacked {
  const { expected } = request
  if (expected === undefined || expected === null) return unpacked
  if (expected.size !== null && unpacked.size !== expected.size) {
    throw wrongSize(request, `${unpacked.size} bytes`, expected.size)
  }
  if (unpacked.sha256 !== expected.sha256) {
    throw new DigestError(`the image in ${request.source}`, expected.sha256, unpacked.sha256, {
      saidBy: saidBy(request),
    })
  }
  return unpacked
}

const saidBy = (request: UnpackRequest): string => request.saidBy ?? 'images.lock.json'

function wrongSize(request: UnpackRequest, actual: string, expected: number): FetchError {
  return new FetchError(`${request.source} unpacks to ${actual}; ${saidBy(request)} says ${expected}`, {
    hint: 'It is not the image that is locked, or the lock entry is wrong: run `piimage images lock` and read what changed.',
  })
}

/** What open(2) and write(2) say when a file doesn't fit; everything else stays as it is. */
function nameFullDisk(error: unknown, target: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') return error
  return new FetchError(`there is no room for the image at ${target} (${code})`, {
    hint: 'Free some space, run `piimage images prune`, or choose another folder with --cache.',
    cause: error,
  })
}
