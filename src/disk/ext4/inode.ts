/**
 * Inodes: everything about a file but its name and its contents.
 *
 * An inode of 128 bytes knows seconds from 1901 to 2038 and 16 bits of
 * everything else; larger ones add nanoseconds, years up to 2446 and a creation
 * time, and keep small extended attributes in what is left (./xattr.ts).
 *
 * Source: Linux Documentation/filesystems/ext4/inodes.rst.
 */
import { FormatError } from '../../errors.ts'
import { crc32c, crc32cOfNumber, crc32cWithout } from './checksum.ts'
import { damaged } from './damage.ts'
import type { OpenVolume } from './open-volume.ts'
import type { Superblock } from './superblock.ts'

export type FileType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'socket'

/** A moment since 1970; `nanoseconds` counts forward from `seconds`, also before 1970. */
export interface Timestamp {
  seconds: number
  nanoseconds: number
}

/** What stat(2) says of a file, and what this folder needs to read it. */
export interface Inode {
  /** Number of the inode: equal for the hard links of one file. */
  ino: number
  type: FileType
  /** As in stat(2): permissions, set-id and sticky bits, and the type. */
  mode: number
  uid: number
  gid: number
  /** Bytes. */
  size: number
  atime: Timestamp
  mtime: Timestamp
  ctime: Timestamp
  /** Creation; undefined in small inodes. */
  crtime: Timestamp | undefined
  /** Hard links; 1 for a directory with too many to count. */
  links: number
  /** Of devices; 0:0 for everything else. */
  rdev: { major: number; minor: number }
  /** Space in use as stat(2) counts it: units of 512 bytes, metadata included. */
  blocks: number
  /** `FLAG_…` bits below; the rest is what chattr(1) shows. */
  flags: number
  /** The 60 bytes that hold extents, block numbers, a short link or the start of a small file. */
  map: Buffer
  /** The bytes behind the known fields: attributes, or nothing. */
  tail: Buffer
  /** Block with more attributes; 0 = none. */
  attributeBlock: number
  generation: number
  /** Where the checksums of this inode's blocks start. */
  checksumSeed: number
  /** Byte of the volume where the inode stands. */
  offset: number
}

export const ROOT_INODE = 2
export const FLAG_ENCRYPTED = 0x800
export const FLAG_INDEXED = 0x1000
export const FLAG_EXTENTS = 0x80000
export const FLAG_ATTRIBUTE_INODE = 0x200000
export const FLAG_INLINE_DATA = 0x10000000
const FLAG_HUGE_FILE = 0x40000

const SMALL_INODE_BYTES = 128
export const MAP_OFFSET = 0x28
const MAP_BYTES = 60

const types: Readonly<Record<number, FileType>> = {
  1: 'fifo',
  2: 'character-device',
  4: 'directory',
  6: 'block-device',
  8: 'file',
  10: 'symlink',
  12: 'socket',
}

/**
 * @param at byte of the volume where the inode number was found, for the error
 * @throws {FormatError} no such inode; not in use; a wrong checksum; values no inode can have
 */
export async function readInode(volume: OpenVolume, ino: number, at: number): Promise<Inode> {
  const { inodeCount, firstInode } = volume.superblock
  if (ino < 1 || ino > inodeCount || (ino < firstInode && ino !== ROOT_INODE))
    throw damaged(`inode ${ino} of ${inodeCount} can't belong to a file`, at)
  return readAnyInode(volume, ino, at)
}

/** One of the file system's own, such as the journal. */
export async function readSystemInode(volume: OpenVolume, ino: number): Promise<Inode> {
  if (ino < 1 || ino > volume.superblock.inodeCount) throw damaged(`there is no inode ${ino}`, 0)
  return readAnyInode(volume, ino, 0)
}

async function readAnyInode(
  { superblock, groups, cache }: OpenVolume,
  ino: number,
  at: number,
): Promise<Inode> {
  const group = await groups.get(Math.floor((ino - 1) / superblock.groupInodes))
  if (group.inodesUninit)
    throw damaged(`inode ${ino} lies in group ${group.number}, which has none in use`, at)
  const within = ((ino - 1) % superblock.groupInodes) * superblock.inodeBytes
  const offset = group.inodeTable * superblock.blockBytes + within
  const raw = Buffer.from(await cache.read(offset, superblock.inodeBytes))
  return parseInode(raw, ino, offset, superblock)
}

/** Names and contents are known to a running system that has the key, and to nobody else. */
export function refuseEncrypted({ flags }: Inode, path: string | Buffer): void {
  if ((flags & FLAG_ENCRYPTED) === 0) return
  throw new FormatError(`ext4: ${JSON.stringify(path.toString('utf8'))} is encrypted (fscrypt)`, {
    hint: 'Only the system that has its key can read it. Take it out there, or use an image without it.',
  })
}

/** @param raw the whole inode; kept, not copied */
function parseInode(raw: Buffer, ino: number, offset: number, superblock: Superblock): Inode {
  const bad = (what: string, at: number) => damaged(`inode ${ino}: ${what}`, offset + at)
  const extraBytes = raw.length > SMALL_INODE_BYTES ? raw.readUInt16LE(0x80) : 0
  if (extraBytes % 4 !== 0 || SMALL_INODE_BYTES + extraBytes > raw.length)
    throw bad(`${extraBytes} bytes of extra fields in ${raw.length}`, 0x80)
  const has = (end: number) => SMALL_INODE_BYTES + extraBytes >= end

  const generation = raw.readUInt32LE(0x64)
  const checksumSeed = crc32cOfNumber(crc32cOfNumber(superblock.checksumSeed, ino), generation)
  if (superblock.features.has('metadata_csum')) checkInode(raw, checksumSeed, has(0x84), bad)

  const mode = raw.readUInt16LE(0x00)
  const type = types[mode >>> 12]
  if (type === undefined) throw bad(`mode 0${mode.toString(8)} is of no file type`, 0x00)
  const links = raw.readUInt16LE(0x1a)
  if (links === 0) throw bad('is deleted, but has a name', 0x1a)
  const flags = raw.readUInt32LE(0x20)

  const long = type === 'file' || (type === 'directory' && superblock.features.has('large_dir'))
  const size = raw.readUInt32LE(0x04) + (long ? raw.readUInt32LE(0x6c) * 2 ** 32 : 0)
  // Block numbers inside a file have 32 bits.
  if (size > 2 ** 32 * superblock.blockBytes) throw bad(`size ${size}`, 0x04)
  const wide = superblock.features.has('huge_file')
  const blocks = raw.readUInt32LE(0x1c) + (wide ? raw.readUInt16LE(0x74) * 2 ** 32 : 0)
  const unit = wide && (flags & FLAG_HUGE_FILE) !== 0 ? superblock.blockBytes / 512 : 1

  const map = raw.subarray(MAP_OFFSET, MAP_OFFSET + MAP_BYTES)
  const time = (at: number, extraAt: number) =>
    timestamp(raw.readInt32LE(at), has(extraAt + 4) ? raw.readUInt32LE(extraAt) : 0)
  return {
    ino,
    type,
    mode,
    uid: raw.readUInt16LE(0x02) + raw.readUInt16LE(0x78) * 2 ** 16,
    gid: raw.readUInt16LE(0x18) + raw.readUInt16LE(0x7a) * 2 ** 16,
    size,
    atime: time(0x08, 0x8c),
    mtime: time(0x10, 0x88),
    ctime: time(0x0c, 0x84),
    crtime: has(0x94) ? time(0x90, 0x94) : undefined,
    links,
    rdev: type === 'character-device' || type === 'block-device' ? deviceNumber(map) : { major: 0, minor: 0 },
    // Like the kernel: a file inside its inode uses no block, but is not empty either.
    blocks: blocks * unit + (type === 'file' && (flags & FLAG_INLINE_DATA) !== 0 ? Math.ceil(size / 512) : 0),
    flags,
    map,
    tail: raw.subarray(extraBytes === 0 ? raw.length : SMALL_INODE_BYTES + extraBytes),
    attributeBlock:
      raw.readUInt32LE(0x68) + (superblock.features.has('64bit') ? raw.readUInt16LE(0x76) * 2 ** 32 : 0),
    generation,
    checksumSeed,
    offset,
  }
}

function checkInode(
  raw: Buffer,
  seed: number,
  wide: boolean,
  bad: (what: string, at: number) => Error,
): void {
  const low = raw.subarray(0, SMALL_INODE_BYTES)
  let actual = crc32cWithout(seed, low, 0x7c, 2)
  if (raw.length > SMALL_INODE_BYTES) {
    const high = raw.subarray(SMALL_INODE_BYTES)
    actual = wide ? crc32cWithout(actual, high, 0x82 - SMALL_INODE_BYTES, 2) : crc32c(actual, high)
  }
  const expected = raw.readUInt16LE(0x7c) + (wide ? raw.readUInt16LE(0x82) * 2 ** 16 : 0)
  if ((wide ? actual : actual % 2 ** 16) !== expected) throw bad('its checksum is wrong', 0x7c)
}

/** The extra word holds nanoseconds in its upper 30 bits and two more bits of seconds below. */
function timestamp(seconds: number, extra: number): Timestamp {
  return { seconds: seconds + (extra % 4) * 2 ** 32, nanoseconds: extra >>> 2 }
}

/** The first word holds a number of 16 bits, as ever; numbers beyond stand in the second. */
function deviceNumber(map: Buffer): { major: number; minor: number } {
  const old = map.readUInt32LE(0)
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff }
  const wide = map.readUInt32LE(4)
  return { major: (wide >>> 8) & 0xfff, minor: (wide & 0xff) | ((wide >>> 12) & 0xfff00) }
}
