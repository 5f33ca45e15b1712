/**
 * Extended attributes: file capabilities, access control lists, user
 * attributes, and the tail of inline data.
 *
 * They lie behind the fields of a large inode, then in one block of their own;
 * a value may have an inode to itself (ea_inode). Names are stored without
 * their prefix, lists in a shorter form than the one system calls use.
 *
 * Source: Linux Documentation/filesystems/ext4/attributes.rst.
 */
import { posixAclFromDisk } from './acl.ts'
import { crc32c, crc32cWithout } from './checksum.ts'
import { damaged } from './damage.ts'
import { dataRuns } from './file-map.ts'
import { FLAG_ATTRIBUTE_INODE, FLAG_INLINE_DATA, type Inode, MAP_OFFSET, readInode } from './inode.ts'
import { type OpenVolume, readBlock } from './open-volume.ts'

export interface Xattr {
  /** With its prefix (`security.capability`), as UTF-8; bytes that are none are replaced. */
  name: string
  /** The name as it stands on the volume. */
  rawName: Buffer
  /** What getxattr(2) returns. */
  value: Buffer
}

interface Entry {
  /** What the name starts with, by number: see `prefixes`. */
  index: number
  name: Buffer
  valueInode: number
  valueBytes: number
  /** Empty when the value has its own inode. */
  value: Buffer
  /** Byte of the volume where the entry stands. */
  offset: number
}

const MAGIC = 0xea020000
const INDEX_ACCESS_ACL = 2
const INDEX_DEFAULT_ACL = 3
const INDEX_SYSTEM = 7

const prefixes: Readonly<Record<number, string>> = {
  1: 'user.',
  [INDEX_ACCESS_ACL]: 'system.posix_acl_access',
  [INDEX_DEFAULT_ACL]: 'system.posix_acl_default',
  4: 'trusted.',
  5: 'lustre.',
  6: 'security.',
  8: 'system.richacl',
  10: 'gnu.',
}

/** The file system's own: inline data, encryption, verity. No system call lists them. */
const hidden: readonly number[] = [INDEX_SYSTEM, 9, 11]

const ENTRY_BYTES = 16
const BLOCK_HEADER_BYTES = 32
/** The kernel's bound for a value in an inode of its own. */
const MAX_VALUE_BYTES = 2 ** 24

/**
 * The attributes of a file, sorted by name (as bytes).
 *
 * @throws {FormatError} a wrong magic number or checksum; entries or values outside their place
 */
export async function readXattrs(volume: OpenVolume, inode: Inode): Promise<Xattr[]> {
  const xattrs: Xattr[] = []
  for (const entry of [...inodeEntries(inode), ...(await blockEntries(volume, inode))]) {
    if (hidden.includes(entry.index)) continue
    const prefix = prefixes[entry.index]
    if (prefix === undefined)
      throw bad(inode, `an attribute name of unknown kind ${entry.index}`, entry.offset + 1)
    const rawName = Buffer.concat([Buffer.from(prefix), entry.name])
    const stored = entry.valueInode === 0 ? entry.value : await readValueInode(volume, inode, entry)
    const isAcl = entry.index === INDEX_ACCESS_ACL || entry.index === INDEX_DEFAULT_ACL
    const value = isAcl ? posixAclFromDisk(stored, entry.offset) : Buffer.from(stored)
    xattrs.push({ name: rawName.toString('utf8'), rawName, value })
  }
  return xattrs.sort((a, b) => Buffer.compare(a.rawName, b.rawName))
}

/**
 * The contents of a small file, or the raw entries of a small directory: the
 * 60 bytes of the inode, then the value of the hidden attribute `system.data`.
 *
 * @returns exactly `inode.size` bytes
 * @throws {FormatError} the two together hold fewer
 */
export function readInlineData(inode: Inode): Buffer {
  const entry = inodeEntries(inode).find(
    (e) => e.index === INDEX_SYSTEM && e.name.equals(Buffer.from('data')),
  )
  const bytes = Buffer.concat([inode.map, entry?.value ?? Buffer.alloc(0)])
  if (bytes.length < inode.size)
    throw bad(inode, `${inode.size} bytes of inline data where ${bytes.length} are kept`, inode.offset)
  return bytes.subarray(0, inode.size)
}

/** Entries behind the fields of the inode; the values are counted from the first entry. */
function inodeEntries(inode: Inode): Entry[] {
  const { tail } = inode
  if (tail.length < 4 || tail.readUInt32LE(0) !== MAGIC) return []
  const area = tail.subarray(4)
  const offset = inode.offset + (tail.byteOffset - inode.map.byteOffset) + MAP_OFFSET + 4
  return parseEntries(inode, area, 0, offset)
}

async function blockEntries(volume: OpenVolume, inode: Inode): Promise<Entry[]> {
  const { attributeBlock } = inode
  if (attributeBlock === 0) return []
  const at = inode.offset + 0x68
  const raw = await readBlock(volume, attributeBlock, `the attribute block of inode ${inode.ino}`, at)
  const offset = attributeBlock * volume.superblock.blockBytes
  if (raw.readUInt32LE(0) !== MAGIC || raw.readUInt32LE(8) !== 1)
    throw bad(inode, 'its attribute block does not start like one', offset)
  if (volume.superblock.features.has('metadata_csum')) {
    const number = Buffer.alloc(8)
    number.writeBigUInt64LE(BigInt(attributeBlock))
    const seed = crc32c(volume.superblock.checksumSeed, number)
    if (crc32cWithout(seed, raw, 0x10, 4) !== raw.readUInt32LE(0x10))
      throw bad(inode, 'the checksum of its attribute block is wrong', offset + 0x10)
  }
  return parseEntries(inode, raw, BLOCK_HEADER_BYTES, offset)
}

/**
 * @param area where entries grow from `start` up and values from the end down
 * @param offset byte of the volume where `area` starts
 */
function parseEntries(inode: Inode, area: Buffer, start: number, offset: number): Entry[] {
  const entries: Entry[] = []
  let at = start
  for (;;) {
    if (at + 4 > area.length) throw bad(inode, 'its attributes do not end', offset + at)
    if (area.readUInt32LE(at) === 0) break
    const nameBytes = area[at] as number
    if (at + ENTRY_BYTES + nameBytes > area.length)
      throw bad(inode, 'an attribute name is cut off', offset + at)
    entries.push(parseEntry(inode, area, at, nameBytes, offset))
    at += Math.ceil((ENTRY_BYTES + nameBytes) / 4) * 4
  }
  return entries
}

function parseEntry(inode: Inode, area: Buffer, at: number, nameBytes: number, offset: number): Entry {
  const valueAt = area.readUInt16LE(at + 2)
  const valueInode = area.readUInt32LE(at + 4)
  const valueBytes = area.readUInt32LE(at + 8)
  const inside = valueInode === 0
  if (inside ? valueAt + valueBytes > area.length : valueBytes > MAX_VALUE_BYTES)
    throw bad(inode, `an attribute value of ${valueBytes} bytes at ${valueAt} of ${area.length}`, offset + at)
  return {
    index: area[at + 1] as number,
    name: area.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes),
    valueInode,
    valueBytes,
    value: inside ? area.subarray(valueAt, valueAt + valueBytes) : Buffer.alloc(0),
    offset: offset + at,
  }
}

/** A value that is the contents of an inode of its own, with its CRC-32C in that inode's access time. */
async function readValueInode(volume: OpenVolume, owner: Inode, entry: Entry): Promise<Buffer> {
  const holder = await readInode(volume, entry.valueInode, entry.offset + 4)
  if ((holder.flags & FLAG_ATTRIBUTE_INODE) === 0 || (holder.flags & FLAG_INLINE_DATA) !== 0)
    throw bad(owner, `inode ${holder.ino} holds no attribute value`, entry.offset + 4)
  if (holder.size !== entry.valueBytes)
    throw bad(owner, `an attribute value of ${entry.valueBytes} bytes in ${holder.size}`, entry.offset + 8)
  const value = Buffer.alloc(holder.size)
  for await (const run of dataRuns(volume, holder))
    value.set(await volume.content.read(run.source, run.length), run.offset)
  const expected = holder.atime.seconds % 2 ** 32
  const actual = crc32c(volume.superblock.checksumSeed, value)
  if (actual !== (expected < 0 ? expected + 2 ** 32 : expected))
    throw bad(
      owner,
      `the checksum of the attribute value in inode ${holder.ino} is wrong`,
      holder.offset + 0x08,
    )
  return value
}

function bad(inode: Inode, what: string, at: number) {
  return damaged(`inode ${inode.ino}: ${what}`, at)
}
