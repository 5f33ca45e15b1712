/**
 * The superblock: 1024 bytes at byte 1024 of the volume that say how all the
 * rest is laid out.
 *
 * Everything that later arithmetic relies on is checked here once (sizes that
 * are powers of two, counts that fit the volume), so that the other files may
 * calculate without guards.
 *
 * Units: `…Bytes` are bytes, `…Blocks` and block numbers count file system
 * blocks, as plain numbers.
 *
 * Not here: backup superblocks (e2fsck's business).
 * Source: Linux Documentation/filesystems/ext4/super.rst; little-endian.
 */
import { KiB } from '../../units.ts'
import { CRC_START, crc32c } from './checksum.ts'
import { damaged } from './damage.ts'
import { type Features, readFeatures } from './features.ts'

export const SUPERBLOCK_OFFSET = 1024
export const SUPERBLOCK_BYTES = 1024

/** What mke2fs allows at least; keeps the number of groups in proportion to the volume. */
const LEAST_GROUP_BLOCKS = 256

export interface Superblock {
  features: Features
  blockBytes: number
  /** Blocks per allocation unit: 1, or more with `bigalloc`. */
  clusterBlocks: number
  blockCount: number
  /** Number of the first block that belongs to group 0: 1 with 1 KiB blocks, else 0. */
  firstDataBlock: number
  groupBlocks: number
  groupCount: number
  inodeCount: number
  groupInodes: number
  inodeBytes: number
  /** First inode number for files; the ones below, but for the root, are the file system's own. */
  firstInode: number
  descriptorBytes: number
  reservedDescriptorBlocks: number
  firstMetaGroup: number
  /** Groups that hold the two backups with `sparse_super2`; 0 = none. */
  backupGroups: readonly [number, number]
  /** Inode of the journal; 0: it has none, or it lies on another device. */
  journalInode: number
  /** Unmounted cleanly and without known errors. */
  clean: boolean
  uuid: Buffer
  /** Where every metadata checksum starts. */
  checksumSeed: number
  label: string
}

/**
 * @param bytes the 1024 bytes at SUPERBLOCK_OFFSET
 * @param volumeBytes size of the volume they come from
 * @throws {FormatError} no ext2/3/4, a wrong checksum, values that contradict each other or the volume's size
 */
export function readSuperblock(bytes: Uint8Array, volumeBytes: number): Superblock {
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const bad = (what: string, at: number) => damaged(what, SUPERBLOCK_OFFSET + at)
  if (raw.length !== SUPERBLOCK_BYTES) throw new Error(`a superblock has ${SUPERBLOCK_BYTES} bytes`)
  const magic = raw.readUInt16LE(0x38)
  if (magic !== 0xef53) throw bad(`magic number 0x${magic.toString(16)} instead of 0xef53: no ext2/3/4`, 0x38)

  const dynamic = raw.readUInt32LE(0x4c) >= 1
  const features = readFeatures(
    dynamic ? raw.readUInt32LE(0x5c) : 0,
    dynamic ? raw.readUInt32LE(0x60) : 0,
    dynamic ? raw.readUInt32LE(0x64) : 0,
  )
  if (features.has('metadata_csum')) {
    const expected = raw.readUInt32LE(0x3fc)
    const actual = crc32c(CRC_START, raw.subarray(0, 0x3fc))
    if (actual !== expected) throw bad('the checksum of the superblock is wrong', 0x3fc)
  }

  const logBlock = raw.readUInt32LE(0x18)
  if (logBlock > 6) throw bad(`block size 2^${10 + logBlock}`, 0x18)
  const blockBytes = KiB * 2 ** logBlock
  const logCluster = features.has('bigalloc') ? raw.readUInt32LE(0x1c) : logBlock
  if (logCluster < logBlock || logCluster > 19) throw bad(`cluster size 2^${10 + logCluster}`, 0x1c)
  const clusterBlocks = 2 ** (logCluster - logBlock)

  const wide = features.has('64bit')
  const blockCount = raw.readUInt32LE(0x04) + (wide ? raw.readUInt32LE(0x150) * 2 ** 32 : 0)
  if (blockCount === 0 || blockCount > volumeBytes / blockBytes)
    throw bad(`${blockCount} blocks of ${blockBytes} bytes in a volume of ${volumeBytes} bytes`, 0x04)
  const firstDataBlock = raw.readUInt32LE(0x14)
  if (firstDataBlock > 1 || (firstDataBlock === 1 && blockBytes !== KiB) || firstDataBlock >= blockCount)
    throw bad(`first data block ${firstDataBlock}`, 0x14)

  const groupBlocks = raw.readUInt32LE(0x20)
  const groupClusters = groupBlocks / clusterBlocks
  if (!isCount(groupClusters, blockBytes) || groupClusters % 8 !== 0 || groupBlocks < LEAST_GROUP_BLOCKS)
    throw bad(`${groupBlocks} blocks in a group`, 0x20)
  const groupInodes = raw.readUInt32LE(0x28)
  if (!isCount(groupInodes, blockBytes)) throw bad(`${groupInodes} inodes in a group`, 0x28)
  const groupCount = Math.ceil((blockCount - firstDataBlock) / groupBlocks)
  const inodeCount = raw.readUInt32LE(0x00)
  if (inodeCount !== groupInodes * groupCount)
    throw bad(`${inodeCount} inodes in ${groupCount} groups of ${groupInodes}`, 0x00)

  const inodeBytes = dynamic ? raw.readUInt16LE(0x58) : 128
  if (!isPowerOfTwo(inodeBytes) || inodeBytes < 128 || inodeBytes > blockBytes)
    throw bad(`inode size ${inodeBytes}`, 0x58)
  const descriptorBytes = wide ? raw.readUInt16LE(0xfe) : 32
  if (!isPowerOfTwo(descriptorBytes) || descriptorBytes < (wide ? 64 : 32) || descriptorBytes > blockBytes)
    throw bad(`group descriptor size ${descriptorBytes}`, 0xfe)

  const uuid = Buffer.from(raw.subarray(0x68, 0x78))
  const state = raw.readUInt16LE(0x3a)
  const label = raw.subarray(0x78, 0x88)
  return {
    features,
    blockBytes,
    clusterBlocks,
    blockCount,
    firstDataBlock,
    groupBlocks,
    groupCount,
    inodeCount,
    groupInodes,
    inodeBytes,
    firstInode: dynamic ? raw.readUInt32LE(0x54) : 11,
    descriptorBytes,
    reservedDescriptorBlocks: raw.readUInt16LE(0xce),
    firstMetaGroup: raw.readUInt32LE(0x104),
    backupGroups: [raw.readUInt32LE(0x24c), raw.readUInt32LE(0x250)],
    journalInode: raw.readUInt32LE(0xe0),
    clean: (state & 1) === 1 && (state & 2) === 0,
    uuid,
    checksumSeed: features.has('metadata_csum_seed') ? raw.readUInt32LE(0x270) : crc32c(CRC_START, uuid),
    label: label.toString('utf8', 0, label.indexOf(0) === -1 ? 16 : label.indexOf(0)),
  }
}

/** One bitmap block must be able to hold so many bits. */
function isCount(count: number, blockBytes: number): boolean {
  return Number.isInteger(count) && count > 0 && count <= blockBytes * 8
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value))
}
