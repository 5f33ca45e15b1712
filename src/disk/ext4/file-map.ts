/**
 * Where a file's contents lie, whichever way the inode says it: an extent tree
 * or block lists. Inline data (./content.ts) lies in no block.
 *
 * Units: bytes of the file (`offset`) and of the volume (`source`).
 */
import type { Range } from '../blocks.ts'
import { type BlockSpan, type Extent, readExtentTree } from './extent.ts'
import { readBlockLists } from './indirect.ts'
import { FLAG_EXTENTS, type Inode } from './inode.ts'
import type { OpenVolume } from './open-volume.ts'

/** Bytes of a file that lie in one piece on the volume. */
export interface DataRun extends Range {
  /** Byte of the volume. */
  source: number
}

/** The extents that reach into `wanted`, in file order. @throws {FormatError} see readExtentTree and readBlockLists */
export function readFileMap(volume: OpenVolume, inode: Inode, wanted: BlockSpan): AsyncGenerator<Extent> {
  const usesExtents = (inode.flags & FLAG_EXTENTS) !== 0
  return usesExtents ? readExtentTree(volume, inode, wanted) : readBlockLists(volume, inode, wanted)
}

/**
 * The written parts of a file within `range`, in order, clipped to it and to
 * the size. What lies between is holes and unwritten extents: zeroes.
 *
 * @throws {FormatError} see readExtentTree and readBlockLists
 */
export async function* dataRuns(
  volume: OpenVolume,
  inode: Inode,
  range: Range = { offset: 0, length: inode.size },
): AsyncGenerator<DataRun> {
  const { blockBytes } = volume.superblock
  const end = Math.min(range.offset + range.length, inode.size)
  if (end <= range.offset) return
  const wanted = { from: Math.floor(range.offset / blockBytes), to: Math.ceil(end / blockBytes) }
  let run: DataRun | undefined
  for await (const extent of readFileMap(volume, inode, wanted)) {
    if (extent.unwritten) continue
    const start = extent.fileBlock * blockBytes
    const from = Math.max(start, range.offset)
    const length = Math.min(start + extent.count * blockBytes, end) - from
    const source = extent.diskBlock * blockBytes + from - start
    if (run !== undefined && run.offset + run.length === from && run.source + run.length === source) {
      run.length += length
    } else {
      if (run !== undefined) yield run
      run = { offset: from, length, source }
    }
  }
  if (run !== undefined) yield run
}
