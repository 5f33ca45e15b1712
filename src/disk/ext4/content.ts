/**
 * The contents of a file: from extents, block lists, or from inside the inode
 * when it is small enough (inline data).
 *
 * Units: bytes of the file (`offset`) and of the volume (`source`).
 */
import { MiB } from '../../units.ts'
import type { Range } from '../blocks.ts'
import { damaged } from './damage.ts'
import { dataRuns } from './file-map.ts'
import { FLAG_EXTENTS, FLAG_INLINE_DATA, type Inode } from './inode.ts'
import type { OpenVolume } from './open-volume.ts'
import { readInlineData } from './xattr.ts'

const CHUNK_BYTES = MiB

/** Handed out for every hole. */
const zeroes = new Uint8Array(CHUNK_BYTES)

/** Whether the contents lie in the inode and its attributes rather than in blocks. */
export function isInline(inode: Inode): boolean {
  return (inode.flags & FLAG_INLINE_DATA) !== 0
}

/** Other types keep something else where a file keeps its map: a device its number. */
function checkIsFile(inode: Inode): void {
  if (inode.type !== 'file') throw new Error(`inode ${inode.ino} is a ${inode.type}`)
}

/** The parts of a file that hold data, in order and apart from each other; the rest reads as zeroes. */
export async function* dataExtents(volume: OpenVolume, inode: Inode): AsyncGenerator<Range> {
  checkIsFile(inode)
  if (isInline(inode)) {
    if (inode.size > 0) yield { offset: 0, length: inode.size }
    return
  }
  let joined: Range | undefined
  for await (const { offset, length } of dataRuns(volume, inode)) {
    if (joined !== undefined && joined.offset + joined.length === offset) {
      joined.length += length
    } else {
      if (joined !== undefined) yield joined
      joined = { offset, length }
    }
  }
  if (joined !== undefined) yield joined
}

/**
 * Bytes of a file, holes filled with zeroes; fewer than `length` at its end.
 *
 * @throws {FormatError} the file's map is damaged
 */
export async function readData(
  volume: OpenVolume,
  inode: Inode,
  offset: number,
  length: number,
): Promise<Buffer> {
  checkIsFile(inode)
  return readBytes(volume, inode, offset, length)
}

async function readBytes(volume: OpenVolume, inode: Inode, offset: number, length: number): Promise<Buffer> {
  const count = Math.max(0, Math.min(length, inode.size - offset))
  if (isInline(inode)) {
    return Buffer.from(readInlineData(inode).subarray(offset, offset + count))
  }
  const bytes = Buffer.alloc(count)
  for await (const run of dataRuns(volume, inode, { offset, length: count }))
    bytes.set(await volume.content.read(run.source, run.length), run.offset - offset)
  return bytes
}

/**
 * A whole file as chunks of at most 1 MiB, holes as zeroes. Do not write into
 * a chunk: the zeroes are shared.
 */
export async function* readContent(volume: OpenVolume, inode: Inode): AsyncGenerator<Uint8Array> {
  checkIsFile(inode)
  if (isInline(inode)) {
    if (inode.size > 0) yield readInlineData(inode)
    return
  }
  let at = 0
  for await (const run of dataRuns(volume, inode)) {
    yield* holeChunks(run.offset - at)
    for (let done = 0; done < run.length; done += CHUNK_BYTES)
      yield await volume.content.read(run.source + done, Math.min(CHUNK_BYTES, run.length - done))
    at = run.offset + run.length
  }
  yield* holeChunks(inode.size - at)
}

function* holeChunks(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= CHUNK_BYTES) yield zeroes.subarray(0, Math.min(left, CHUNK_BYTES))
}

/**
 * The target of a symbolic link, as bytes.
 *
 * @throws {FormatError} empty, too long, or with a NUL inside
 */
export async function readLinkTarget(volume: OpenVolume, inode: Inode): Promise<Buffer> {
  if (inode.type !== 'symlink') throw new Error(`inode ${inode.ino} is a ${inode.type}`)
  if (inode.size === 0 || inode.size > volume.superblock.blockBytes)
    throw damaged(`inode ${inode.ino}: a link target of ${inode.size} bytes`, inode.offset + 4)
  // Targets that fit stand in the inode itself.
  const fast = inode.size < inode.map.length && (inode.flags & FLAG_EXTENTS) === 0 && !isInline(inode)
  const target = fast
    ? Buffer.from(inode.map.subarray(0, inode.size))
    : await readBytes(volume, inode, 0, inode.size)
  if (target.includes(0)) throw damaged(`inode ${inode.ino}: a NUL in its link target`, inode.offset)
  return target
}
