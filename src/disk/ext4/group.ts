/**
 * Block groups: the equal parts into which a volume is divided, each with a
 * descriptor that says where its bitmaps and its inode table lie.
 *
 * Descriptors are read when they are asked for, never as one table: an absurd
 * group count then costs nothing.
 *
 * Source: Linux Documentation/filesystems/ext4/group_descr.rst and
 * blockgroup.rst (backups, flex_bg, meta_bg).
 */
import { CRC_START, crc16, crc32cOfNumber, crc32cWithout } from './checksum.ts'
import { damaged } from './damage.ts'
import type { PageCache } from './page-cache.ts'
import type { Superblock } from './superblock.ts'

export interface Group {
  number: number
  firstBlock: number
  /** Less than the others in the last group. */
  blockCount: number
  blockBitmap: number
  inodeBitmap: number
  inodeTable: number
  freeClusters: number
  /** The block bitmap was never written: only metadata is in use. */
  blocksUninit: boolean
  /** No inode of this group was ever used. */
  inodesUninit: boolean
  /** CRC-32C of the block bitmap, or its lower half: see `wideChecksums`. */
  blockBitmapChecksum: number
  wideChecksums: boolean
  /** Byte of the volume where the descriptor stands. */
  offset: number
}

/** Blocks, by number. */
export interface BlockRun {
  start: number
  count: number
}

/** Parsed descriptors kept at hand: those of a 512 GiB volume with 4 KiB blocks. */
const KEPT = 4096

const FLAG_INODE_UNINIT = 0x1
const FLAG_BLOCK_UNINIT = 0x2

export class Groups {
  readonly #cache: PageCache
  readonly #superblock: Superblock
  readonly #kept = new Map<number, Group>()

  constructor(cache: PageCache, superblock: Superblock) {
    this.#cache = cache
    this.#superblock = superblock
  }

  /**
   * @throws {FormatError} a wrong descriptor checksum; bitmaps or inode table outside the volume
   */
  async get(number: number): Promise<Group> {
    const kept = this.#kept.get(number)
    if (kept !== undefined) return kept
    const offset = descriptorOffset(this.#superblock, number)
    const group = readGroup(
      await this.#cache.read(offset, this.#superblock.descriptorBytes),
      number,
      offset,
      this.#superblock,
    )
    if (this.#kept.size >= KEPT) this.#kept.clear()
    this.#kept.set(number, group)
    return group
  }
}

/** Blocks of one group's inode table. */
export function inodeTableBlocks(superblock: Superblock): number {
  return Math.ceil((superblock.groupInodes * superblock.inodeBytes) / superblock.blockBytes)
}

export function groupStart(superblock: Superblock, number: number): number {
  return superblock.firstDataBlock + number * superblock.groupBlocks
}

/**
 * Where a group keeps copies of the superblock and of the descriptor table,
 * with the blocks kept back for that table to grow.
 */
export function planBackups(superblock: Superblock, number: number): BlockRun[] {
  const start = groupStart(superblock, number)
  const held = holdsSuperblock(superblock, number) ? 1 : 0
  // With 1 KiB blocks in clusters, the boot sector has block 0 of group 0 for itself.
  const bootBlocks = number === 0 ? superblockBlock(superblock) - start : 0
  const runs: BlockRun[] = held === 1 ? [{ start, count: bootBlocks + 1 }] : []
  const after = start + bootBlocks + held
  const perBlock = superblock.blockBytes / superblock.descriptorBytes
  const tableBlocks = Math.ceil(superblock.groupCount / perBlock)
  const metaGroup = Math.floor(number / perBlock)
  if (superblock.features.has('meta_bg') && metaGroup >= superblock.firstMetaGroup) {
    const index = number % perBlock
    if (index === 0 || index === 1 || index === perBlock - 1) runs.push({ start: after, count: 1 })
  } else if (held === 1) {
    const count = superblock.features.has('meta_bg')
      ? superblock.firstMetaGroup
      : tableBlocks + superblock.reservedDescriptorBlocks
    runs.push({ start: after, count })
  }
  return runs
}

function holdsSuperblock(superblock: Superblock, number: number): boolean {
  if (number === 0) return true
  if (superblock.features.has('sparse_super2')) return superblock.backupGroups.includes(number)
  if (number === 1 || !superblock.features.has('sparse_super')) return true
  return [3, 5, 7].some((base) => isPowerOf(base, number))
}

function isPowerOf(base: number, value: number): boolean {
  let power = base
  while (power < value) power *= base
  return power === value
}

/** The block in which byte 1024 of the volume lies. */
function superblockBlock(superblock: Superblock): number {
  return superblock.blockBytes === 1024 ? 1 : 0
}

function descriptorOffset(superblock: Superblock, number: number): number {
  const perBlock = superblock.blockBytes / superblock.descriptorBytes
  const metaGroup = Math.floor(number / perBlock)
  const within = (number % perBlock) * superblock.descriptorBytes
  let block = superblockBlock(superblock) + 1 + metaGroup
  if (superblock.features.has('meta_bg') && metaGroup >= superblock.firstMetaGroup) {
    const first = metaGroup * perBlock
    const held = holdsSuperblock(superblock, first) ? 1 : 0
    block = metaGroup === 0 ? superblockBlock(superblock) + 1 : groupStart(superblock, first) + held
  }
  return block * superblock.blockBytes + within
}

function readGroup(raw: Buffer, number: number, offset: number, superblock: Superblock): Group {
  checkDescriptor(raw, number, offset, superblock)
  const wide = raw.length >= 64
  const high = (at: number) => (wide ? raw.readUInt32LE(at) * 2 ** 32 : 0)
  const firstBlock = groupStart(superblock, number)
  const checked = superblock.features.has('metadata_csum') || superblock.features.has('uninit_bg')
  const flags = checked ? raw.readUInt16LE(0x12) : 0
  const group: Group = {
    number,
    firstBlock,
    blockCount: Math.min(superblock.groupBlocks, superblock.blockCount - firstBlock),
    blockBitmap: raw.readUInt32LE(0x00) + high(0x20),
    inodeBitmap: raw.readUInt32LE(0x04) + high(0x24),
    inodeTable: raw.readUInt32LE(0x08) + high(0x28),
    freeClusters: raw.readUInt16LE(0x0c) + (wide ? raw.readUInt16LE(0x2c) * 2 ** 16 : 0),
    blocksUninit: (flags & FLAG_BLOCK_UNINIT) !== 0,
    inodesUninit: (flags & FLAG_INODE_UNINIT) !== 0,
    blockBitmapChecksum: raw.readUInt16LE(0x18) + (wide ? raw.readUInt16LE(0x38) * 2 ** 16 : 0),
    wideChecksums: wide,
    offset,
  }
  const places: [string, number, number, number][] = [
    ['block bitmap', group.blockBitmap, 1, 0x00],
    ['inode bitmap', group.inodeBitmap, 1, 0x04],
    ['inode table', group.inodeTable, inodeTableBlocks(superblock), 0x08],
  ]
  for (const [what, start, count, at] of places) {
    if (start < superblock.firstDataBlock || start + count > superblock.blockCount)
      throw damaged(
        `the ${what} of group ${number} lies in block ${start} of ${superblock.blockCount}`,
        offset + at,
      )
  }
  return group
}

/** @throws {FormatError} the checksum in the descriptor is not the one of its bytes */
function checkDescriptor(raw: Buffer, number: number, offset: number, superblock: Superblock): void {
  let actual: number
  if (superblock.features.has('metadata_csum')) {
    const seed = crc32cOfNumber(superblock.checksumSeed, number)
    actual = crc32cWithout(seed, raw, 0x1e, 2) % 2 ** 16
  } else if (superblock.features.has('uninit_bg')) {
    const groupNumber = Buffer.alloc(4)
    groupNumber.writeUInt32LE(number)
    const seed = crc16(crc16(CRC_START % 2 ** 16, superblock.uuid), groupNumber)
    actual = crc16(crc16(seed, raw.subarray(0, 0x1e)), raw.subarray(0x20))
  } else {
    return
  }
  if (actual !== raw.readUInt16LE(0x1e))
    throw damaged(`the checksum of the descriptor of group ${number} is wrong`, offset + 0x1e)
}
