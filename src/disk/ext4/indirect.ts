/**
 * The block lists of ext2 and ext3: twelve block numbers in the inode, then
 * blocks of block numbers, one, two and three levels deep. Number 0 is a hole.
 *
 * Source: Linux Documentation/filesystems/ext4/ifork.rst ("Direct/Indirect
 * Block Addressing").
 */
import { damaged } from './damage.ts'
import type { BlockSpan, Extent } from './extent.ts'
import { type Inode, MAP_OFFSET } from './inode.ts'
import { checkBlocks, type OpenVolume, readBlock } from './open-volume.ts'

const DIRECT = 12
const LEVELS = 3

interface List {
  raw: Buffer
  /** Byte of the volume. */
  offset: number
  /** File block of the first number. */
  start: number
  /** 0: the numbers are of data blocks. */
  level: number
}

/**
 * The same as readExtentTree for a file without extents; runs are joined within one list.
 *
 * @throws {FormatError} block numbers outside the volume, a list that occurs twice
 */
export async function* readBlockLists(
  volume: OpenVolume,
  inode: Inode,
  wanted: BlockSpan,
): AsyncGenerator<Extent> {
  const perBlock = volume.superblock.blockBytes / 4
  const end = Math.ceil(inode.size / volume.superblock.blockBytes)
  const asked = { from: wanted.from, to: Math.min(wanted.to, end) }
  const offset = inode.offset + MAP_OFFSET
  const seen = new Set<number>()
  yield* listedRuns(
    volume,
    inode,
    { raw: inode.map.subarray(0, DIRECT * 4), offset, start: 0, level: 0 },
    asked,
  )
  let start = DIRECT
  for (let level = 1; level <= LEVELS; level += 1) {
    const at = (DIRECT + level - 1) * 4
    const one = { raw: inode.map.subarray(at, at + 4), offset: offset + at, start, level }
    yield* nestedRuns(volume, inode, one, asked, seen)
    start += perBlock ** level
  }
}

async function* nestedRuns(
  volume: OpenVolume,
  inode: Inode,
  list: List,
  wanted: BlockSpan,
  seen: Set<number>,
): AsyncGenerator<Extent> {
  const covers = (volume.superblock.blockBytes / 4) ** list.level
  for (let at = 0; at < list.raw.length; at += 4) {
    const start = list.start + (at / 4) * covers
    if (start >= wanted.to) return
    const block = list.raw.readUInt32LE(at)
    if (block === 0 || start + covers <= wanted.from) continue
    if (seen.has(block))
      throw damaged(`inode ${inode.ino}: list of blocks ${block} occurs twice`, list.offset + at)
    seen.add(block)
    const raw = await readBlock(volume, block, `a list of blocks of inode ${inode.ino}`, list.offset + at)
    const next = { raw, offset: block * volume.superblock.blockBytes, start, level: list.level - 1 }
    if (next.level === 0) yield* listedRuns(volume, inode, next, wanted)
    else yield* nestedRuns(volume, inode, next, wanted, seen)
  }
}

function* listedRuns(volume: OpenVolume, inode: Inode, list: List, wanted: BlockSpan): Generator<Extent> {
  let run: Extent | undefined
  for (let at = 0; at < list.raw.length; at += 4) {
    const fileBlock = list.start + at / 4
    const diskBlock = list.raw.readUInt32LE(at)
    if (diskBlock === 0 || fileBlock < wanted.from || fileBlock >= wanted.to) continue
    checkBlocks(volume.superblock, diskBlock, 1, `block ${fileBlock} of inode ${inode.ino}`, list.offset + at)
    if (
      run !== undefined &&
      run.fileBlock + run.count === fileBlock &&
      run.diskBlock + run.count === diskBlock
    ) {
      run.count += 1
    } else {
      if (run !== undefined) yield run
      run = { fileBlock, diskBlock, count: 1, unwritten: false }
    }
  }
  if (run !== undefined) yield run
}
