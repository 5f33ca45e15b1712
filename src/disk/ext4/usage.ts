/**
 * Which bytes of a volume are in use: what a writer may not skip.
 *
 * The block bitmaps say it, and a reader who trusts a wrong bitmap loses
 * files. So whatever can't be relied on counts as used: a group whose bitmap
 * fails its checksum or holds another number of free blocks than its
 * descriptor says, the whole volume when it was not cleanly unmounted, has
 * a journal to replay, or is laid out by rules that are not known here. The
 * metadata whose place is known (superblocks, descriptor tables, bitmaps,
 * inode tables) is used whatever the bitmaps say; so are the boot block and
 * what follows the last block of the file system.
 *
 * Source: Linux Documentation/filesystems/ext4/bitmaps.rst and blockgroup.rst.
 */
import { FormatError } from '../../errors.ts'
import { type BlockReader, mergeRanges, type Range } from '../blocks.ts'
import { crc32c } from './checksum.ts'
import { type BlockRun, type Group, Groups, inodeTableBlocks, planBackups } from './group.ts'
import { METADATA_PAGES, PageCache } from './page-cache.ts'
import { readSuperblock, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, type Superblock } from './superblock.ts'

export interface Usage {
  /** Bytes of the volume that are in use: sorted, apart from each other. */
  used: Range[]
  usedBytes: number
  /** One sentence for each reason to count free-looking bytes as used; empty for a healthy volume. */
  doubts: string[]
}

export interface UsageOptions {
  /** A free run of fewer bytes counts as used: fewer, longer ranges. Default 0, exact. */
  leastFreeBytes?: number
}

/** Doubts named one by one; the rest is counted. */
const NAMED_DOUBTS = 8

/**
 * The used bytes of an ext2/3/4 volume. A volume that can't be judged is not
 * an error here: all of it is used, and `doubts` says why.
 *
 * @throws only what reading `blocks` throws for reasons of its own (a digest, the network)
 */
export async function readUsage(blocks: BlockReader, options: UsageOptions = {}): Promise<Usage> {
  const used = new UsedBytes(options.leastFreeBytes ?? 0)
  const doubts: string[] = []
  for await (const { offset, length } of walkUsage(blocks, (doubt) => doubts.push(doubt)))
    used.add(offset, offset + length)
  return { used: used.ranges, usedBytes: used.bytes, doubts: shorten(doubts) }
}

/**
 * The same, group by group in the order of the volume, for a volume that is
 * still being unpacked: all descriptors are read first (they stand at the
 * start, but for meta_bg), then each group's bitmap when its turn comes.
 * Neighbouring ranges may touch.
 *
 * @param onDoubt told each reason to count free-looking bytes as used
 * @throws as `readUsage`
 */
export async function* walkUsage(
  blocks: BlockReader,
  onDoubt: (doubt: string) => void = () => {},
): AsyncGenerator<Range> {
  let walked = 0
  try {
    const cache = new PageCache(blocks, METADATA_PAGES)
    if (blocks.length < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) throw new FormatError('too small for ext2/3/4')
    const superblock = readSuperblock(await cache.read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES), blocks.length)
    const reason = reasonToUseAll(superblock)
    if (reason !== undefined) throw new FormatError(reason)
    for await (const range of usageByBitmaps(cache, superblock, onDoubt)) {
      walked = range.offset + range.length
      yield range
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    onDoubt(error.message)
    if (walked < blocks.length) yield { offset: walked, length: blocks.length - walked }
  }
}

/** Why the bitmaps as they stand can't be believed at all. */
function reasonToUseAll(superblock: Superblock): string | undefined {
  const { features } = superblock
  if (features.has('needs_recovery'))
    return 'the journal was not replayed (not cleanly unmounted): the bitmaps may be old'
  if (!superblock.clean) return 'not cleanly unmounted, the bitmaps may be wrong'
  const unknown = [...features.unreadable, ...features.unknownRoCompat]
  if (unknown.length > 0) return `unknown features: ${unknown.join(', ')}`
  return undefined
}

/** @throws {FormatError} before the first range, save for meta_bg and what can't be read */
async function* usageByBitmaps(
  cache: PageCache,
  superblock: Superblock,
  onDoubt: (doubt: string) => void,
): AsyncGenerator<Range> {
  const { blockBytes } = superblock
  const groups = new Groups(cache, superblock)
  const metadata = await metadataRuns(groups, superblock)
  if (superblock.firstDataBlock > 0) yield { offset: 0, length: superblock.firstDataBlock * blockBytes }

  let next = 0
  for (let number = 0; number < superblock.groupCount; number += 1) {
    const group = await groups.get(number)
    const end = group.firstBlock + group.blockCount
    // The runs that reach into this group; one may reach into the next as well.
    while (next < metadata.length && runEnd(metadata[next]) <= group.firstBlock) next += 1
    const own: BlockRun[] = []
    for (let i = next; i < metadata.length && (metadata[i]?.start ?? end) < end; i += 1)
      own.push(metadata[i] as BlockRun)

    const bitmap = await readBitmap(cache, superblock, group, own)
    if (typeof bitmap === 'string') {
      onDoubt(`group ${number}: ${bitmap}`)
      yield { offset: group.firstBlock * blockBytes, length: group.blockCount * blockBytes }
      continue
    }
    const used: Range[] = []
    eachSetRun(bitmap, groupClusters(superblock, group), (from, to) => {
      const first = group.firstBlock + from * superblock.clusterBlocks
      const last = Math.min(group.firstBlock + to * superblock.clusterBlocks, end)
      used.push({ offset: first * blockBytes, length: (last - first) * blockBytes })
    })
    yield* used
  }
  const volumeEnd = superblock.blockCount * blockBytes
  if (volumeEnd < cache.length) yield { offset: volumeEnd, length: cache.length - volumeEnd }
}

/** Where all groups keep their metadata: with flex_bg mostly in another group than their own. */
async function metadataRuns(groups: Groups, superblock: Superblock): Promise<BlockRun[]> {
  const runs: BlockRun[] = []
  const tableBlocks = inodeTableBlocks(superblock)
  for (let number = 0; number < superblock.groupCount; number += 1) {
    const group = await groups.get(number)
    runs.push({ start: group.blockBitmap, count: 1 }, { start: group.inodeBitmap, count: 1 })
    runs.push({ start: group.inodeTable, count: tableBlocks }, ...planBackups(superblock, number))
  }
  const merged = mergeRanges(runs.map((run) => ({ offset: run.start, length: run.count })))
  return merged.map((run) => ({ start: run.offset, count: run.length }))
}

const runEnd = (run: BlockRun | undefined) => (run === undefined ? 0 : run.start + run.count)

const groupClusters = (superblock: Superblock, group: Group) =>
  Math.ceil(group.blockCount / superblock.clusterBlocks)

/**
 * One bit per cluster of the group, lowest bit first, set = used, metadata marked.
 *
 * @returns a copy, or the reason why it can't be relied on
 */
async function readBitmap(
  cache: PageCache,
  superblock: Superblock,
  group: Group,
  metadata: readonly BlockRun[],
): Promise<Uint8Array | string> {
  const { blockBytes, clusterBlocks } = superblock
  let bitmap: Uint8Array
  if (group.blocksUninit) {
    bitmap = new Uint8Array(blockBytes)
  } else {
    bitmap = Uint8Array.from(await cache.read(group.blockBitmap * blockBytes, blockBytes))
    if (superblock.features.has('metadata_csum')) {
      const full = crc32c(
        superblock.checksumSeed,
        bitmap.subarray(0, superblock.groupBlocks / clusterBlocks / 8),
      )
      const actual = group.wideChecksums ? full : full % 2 ** 16
      if (actual !== group.blockBitmapChecksum) return 'the checksum of the block bitmap is wrong'
    }
  }
  for (const run of metadata) {
    const from = Math.max(run.start - group.firstBlock, 0)
    const to = Math.min(run.start + run.count - group.firstBlock, group.blockCount)
    for (let cluster = Math.floor(from / clusterBlocks); cluster * clusterBlocks < to; cluster += 1) {
      bitmap[cluster >>> 3] = (bitmap[cluster >>> 3] ?? 0) | (1 << (cluster & 7))
    }
  }
  const clusters = groupClusters(superblock, group)
  let usedClusters = 0
  eachSetRun(bitmap, clusters, (from, to) => {
    usedClusters += to - from
  })
  if (clusters - usedClusters !== group.freeClusters)
    return `${clusters - usedClusters} free clusters by the bitmap, ${group.freeClusters} by the descriptor`
  return bitmap
}

/** Call `found` with each run of set bits below `count`, `to` exclusive. */
function eachSetRun(bitmap: Uint8Array, count: number, found: (from: number, to: number) => void): void {
  let start = -1
  let bit = 0
  while (bit < count) {
    const byte = bitmap[bit >>> 3] ?? 0xff
    // Whole bytes of one kind at once: most of a bitmap is nothing else.
    if ((bit & 7) === 0 && bit + 8 <= count && byte === (start === -1 ? 0 : 0xff)) {
      bit += 8
      continue
    }
    const set = (byte & (1 << (bit & 7))) !== 0
    if (set && start === -1) start = bit
    if (!set && start !== -1) {
      found(start, bit)
      start = -1
    }
    bit += 1
  }
  if (start !== -1) found(start, count)
}

/** Ranges that arrive in order, joined where they touch or lie too close. */
class UsedBytes {
  readonly ranges: Range[] = []
  bytes = 0
  readonly #leastFreeBytes: number

  constructor(leastFreeBytes: number) {
    this.#leastFreeBytes = leastFreeBytes
  }

  /** @param end exclusive */
  add(start: number, end: number): void {
    if (end <= start) return
    const last = this.ranges.at(-1)
    const gap = last === undefined ? start : start - last.offset - last.length
    if (last !== undefined && (gap === 0 || gap < this.#leastFreeBytes)) {
      last.length += gap + end - start
      this.bytes += gap + end - start
    } else {
      const offset = gap < this.#leastFreeBytes ? start - gap : start
      this.ranges.push({ offset, length: end - offset })
      this.bytes += end - offset
    }
  }
}

function shorten(doubts: string[]): string[] {
  if (doubts.length <= NAMED_DOUBTS) return doubts
  return [...doubts.slice(0, NAMED_DOUBTS), `and ${doubts.length - NAMED_DOUBTS} more groups`]
}
