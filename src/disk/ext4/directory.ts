/**
 * Directories: lists of names and inode numbers in the blocks of a file.
 *
 * Hash-tree directories are read like the others: their index blocks look like
 * empty entries. Small directories may lie inside the inode, without the
 * entries `.` and `..`. Names are bytes; nothing says that they are UTF-8.
 *
 * Source: Linux Documentation/filesystems/ext4/directory.rst.
 */
import { crc32c } from './checksum.ts'
import { isInline } from './content.ts'
import { damaged } from './damage.ts'
import { readFileMap } from './file-map.ts'
import { FLAG_INDEXED, type Inode, MAP_OFFSET } from './inode.ts'
import { type OpenVolume, readBlock } from './open-volume.ts'
import { readInlineData } from './xattr.ts'

export interface DirectoryEntry {
  /** One component: never empty, `.`, `..`, and without `/` and NUL. */
  name: Buffer
  ino: number
  /** Byte of the volume where the entry stands. */
  offset: number
}

const HEADER_BYTES = 8
/** The checksum of a block poses as an entry without inode and with this type. */
const TAIL_BYTES = 12
const TAIL_TYPE = 0xde
/** Inside an inode, the parent's number comes first. */
const INLINE_PARENT_BYTES = 4
/** Of an index: hash value and block number. */
const INDEX_ENTRY_BYTES = 8

/**
 * All entries but `.` and `..`, sorted by name (as bytes): the same tree gives
 * the same order however it was built.
 *
 * @throws {FormatError} entries that overlap or leave their block, names that can't be names or occur twice,
 *   a wrong checksum, holes
 */
export async function readDirectory(volume: OpenVolume, inode: Inode): Promise<DirectoryEntry[]> {
  if (inode.type !== 'directory') throw new Error(`inode ${inode.ino} is a ${inode.type}`)
  const entries = isInline(inode) ? inlineEntries(volume, inode) : await blockEntries(volume, inode)
  entries.sort((a, b) => Buffer.compare(a.name, b.name))
  for (const [i, entry] of entries.entries()) {
    if (i > 0 && entries[i - 1]?.name.equals(entry.name))
      throw bad(inode, `two entries are named '${entry.name.toString('utf8')}'`, entry.offset)
  }
  return entries
}

function inlineEntries(volume: OpenVolume, inode: Inode): DirectoryEntry[] {
  const bytes = readInlineData(inode)
  const inMap = bytes.subarray(INLINE_PARENT_BYTES, inode.map.length)
  const entries = parseEntries(volume, inode, inMap, inode.offset + MAP_OFFSET + INLINE_PARENT_BYTES)
  if (bytes.length <= inode.map.length) return entries
  return [...entries, ...parseEntries(volume, inode, bytes.subarray(inode.map.length), inode.offset)]
}

async function blockEntries(volume: OpenVolume, inode: Inode): Promise<DirectoryEntry[]> {
  const { blockBytes } = volume.superblock
  if (inode.size === 0 || inode.size % blockBytes !== 0 || inode.size > volume.cache.length)
    throw bad(inode, `a directory of ${inode.size} bytes`, inode.offset + 4)
  const blockCount = inode.size / blockBytes
  const entries: DirectoryEntry[] = []
  let next = 0
  for await (const extent of readFileMap(volume, inode, { from: 0, to: blockCount })) {
    if (extent.fileBlock !== next || extent.unwritten) break
    for (; next < Math.min(extent.fileBlock + extent.count, blockCount); next += 1) {
      const block = extent.diskBlock + next - extent.fileBlock
      const raw = await readBlock(volume, block, `directory inode ${inode.ino}`, inode.offset)
      const offset = block * blockBytes
      if (volume.superblock.features.has('metadata_csum')) checkBlock(inode, raw, next, offset)
      // Not push(...list): a block of 64 KiB has more entries than a call may have arguments on a deep stack.
      for (const entry of parseEntries(volume, inode, raw, offset)) entries.push(entry)
    }
  }
  if (next !== blockCount) throw bad(inode, `a directory with a hole at its block ${next}`, inode.offset)
  return entries
}

/** @param offset byte of the volume where `bytes` start */
function parseEntries(volume: OpenVolume, inode: Inode, bytes: Buffer, offset: number): DirectoryEntry[] {
  const typed = volume.superblock.features.has('filetype')
  const entries: DirectoryEntry[] = []
  let at = 0
  while (at < bytes.length) {
    if (at + HEADER_BYTES > bytes.length) throw bad(inode, 'a directory entry is cut off', offset + at)
    const ino = bytes.readUInt32LE(at)
    const length = recordLength(bytes.readUInt16LE(at + 4), bytes.length)
    // Without types, the upper byte of the name's length stands where they would.
    const nameBytes = typed ? (bytes[at + 6] as number) : bytes.readUInt16LE(at + 6)
    if (length < HEADER_BYTES || length % 4 !== 0 || at + length > bytes.length)
      throw bad(inode, `a directory entry of ${length} bytes with ${bytes.length - at} left`, offset + at + 4)
    if (ino !== 0) {
      if (nameBytes === 0 || nameBytes > 255 || HEADER_BYTES + nameBytes > length)
        throw bad(inode, `a name of ${nameBytes} bytes in a directory entry of ${length}`, offset + at + 6)
      const name = Buffer.from(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + nameBytes))
      if (name.includes(0) || name.includes(0x2f))
        throw bad(
          inode,
          `a name with a slash or a NUL: ${JSON.stringify(name.toString('utf8'))}`,
          offset + at,
        )
      if (!isDots(name)) entries.push({ name, ino, offset: offset + at })
    }
    at += length
  }
  return entries
}

/** In blocks of 64 KiB the full length does not fit into 16 bits, and the lowest two bits stand in for more. */
function recordLength(stored: number, blockBytes: number): number {
  if (blockBytes < 65536) return stored
  if (stored === 65535 || stored === 0) return blockBytes
  return (stored & 0xfffc) + (stored & 3) * 65536
}

function isDots(name: Buffer): boolean {
  return name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))
}

/** @param number of the block within the directory */
function checkBlock(inode: Inode, raw: Buffer, number: number, offset: number): void {
  const indexed = (inode.flags & FLAG_INDEXED) !== 0
  const first = recordLength(raw.readUInt16LE(4), raw.length)
  if (indexed && (number === 0 || first === raw.length)) {
    checkIndexBlock(inode, raw, first === raw.length ? 8 : 32, offset)
    return
  }
  const at = raw.length - TAIL_BYTES
  const isTail = raw.readUInt32LE(at) === 0 && raw.readUInt32LE(at + 4) === TAIL_BYTES + TAIL_TYPE * 2 ** 24
  if (!isTail) throw bad(inode, 'a directory block without its checksum', offset + at)
  if (crc32c(inode.checksumSeed, raw.subarray(0, at)) !== raw.readUInt32LE(at + 8))
    throw bad(inode, 'the checksum of a directory block is wrong', offset + at + 8)
}

/** @param at where the index starts: its limit and count stand in place of the first hash value */
function checkIndexBlock(inode: Inode, raw: Buffer, at: number, offset: number): void {
  const limit = raw.readUInt16LE(at)
  const count = raw.readUInt16LE(at + 2)
  const tail = at + limit * INDEX_ENTRY_BYTES
  if (count > limit || tail + 8 > raw.length)
    throw bad(inode, `${count} of ${limit} entries in a directory index`, offset + at)
  // The four bytes before the checksum belong to it, the checksum itself counts as zero.
  let crc = crc32c(inode.checksumSeed, raw.subarray(0, at + count * INDEX_ENTRY_BYTES))
  crc = crc32c(crc32c(crc, raw.subarray(tail, tail + 4)), new Uint8Array(4))
  if (crc !== raw.readUInt32LE(tail + 4))
    throw bad(inode, 'the checksum of a directory index is wrong', offset + tail + 4)
}

function bad(inode: Inode, what: string, at: number) {
  return damaged(`inode ${inode.ino}: ${what}`, at)
}
