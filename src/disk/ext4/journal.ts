/**
 * The journal of a volume that was not cleanly unmounted: which blocks have
 * newer contents there than in their places. Nothing is written; a reader that
 * knows them sees the volume as the kernel would after it replayed the journal.
 *
 * A transaction counts when its commit block is there and its checksums hold;
 * what comes after the first that doesn't is what the power cut left. A block
 * that was revoked later is not replayed.
 *
 * Units: block numbers count file system blocks; the journal's own, blocks of its file.
 * Source: Linux Documentation/filesystems/ext4/journal.rst; big-endian.
 */
import { FormatError } from '../../errors.ts'
import type { BlockReader } from '../blocks.ts'
import { CRC_START, crc32c, crc32cWithout } from './checksum.ts'
import { dataRuns } from './file-map.ts'
import { readSystemInode } from './inode.ts'
import type { OpenVolume } from './open-volume.ts'

/** Where the newest contents of a block are. */
interface Newer {
  /** Byte of the volume. */
  at: number
  /** The block begins with the journal's magic number, which stands as zeroes there. */
  escaped: boolean
}

export type Newest = ReadonlyMap<number, Newer>

const MAGIC = 0xc03b3998
const BLOCK = { descriptor: 1, commit: 2, superblockV2: 4, revoke: 5 } as const
const INCOMPAT = { revoke: 1, wide: 2, asyncCommit: 4, csumV2: 8, csumV3: 16, fastCommit: 32 } as const
const TAG = { escaped: 1, sameUuid: 2, last: 8 } as const
const HEADER_BYTES = 12
const REVOKE_HEADER_BYTES = 16
const TAIL_BYTES = 4
const COMMIT_CHECKSUM = 16
const FAST_COMMIT_HEAD = 9

interface Log {
  read(block: number): Promise<Buffer>
  /** Byte of the volume where a block of the journal stands. */
  placeOf(block: number): number
  first: number
  /** One past the last block of the ring. */
  end: number
  start: number
  sequence: number
  features: (name: keyof typeof INCOMPAT) => boolean
  seed: number
  /** Number of the first block of the area for fast commits; undefined: there is none. */
  fastCommits?: number
}

interface Tag {
  block: number
  flags: number
  checksum: number
}

/**
 * @param volume as it stands on the disk
 * @throws {FormatError} no journal, one that contradicts itself, or one of a kind that isn't read
 */
export async function readJournal(volume: OpenVolume): Promise<Newest> {
  const log = await openLog(volume)
  const newest = new Map<number, Newer>()
  if (log.start === 0) return newest
  const { transactions, revoked, next } = await scan(log)
  if (log.fastCommits !== undefined) {
    const block = await log.read(log.fastCommits)
    if (block.readUInt16LE(0) === FAST_COMMIT_HEAD && block.readUInt32LE(8) === next)
      throw unreadable('it ends in fast commits')
  }
  for (const { sequence, blocks } of transactions)
    for (const { tag, block } of blocks) {
      if ((revoked.get(tag.block) ?? -1) >= sequence) continue
      if (tag.block >= volume.superblock.blockCount) throw unreadable(`it changes block ${tag.block}`)
      const bytes = await log.read(block)
      if (!sumFits(log, tag, sequence, bytes))
        throw unreadable(`its copy of block ${tag.block} fails its checksum`)
      newest.set(tag.block, { at: log.placeOf(block), escaped: (tag.flags & TAG.escaped) !== 0 })
    }
  return newest
}

/** The volume with each block as it is newest. */
export function withNewest(blocks: BlockReader, blockBytes: number, newest: Newest): BlockReader {
  return {
    length: blocks.length,
    async read(offset, length) {
      const bytes = Buffer.from(await blocks.read(offset, length))
      const last = Math.floor((offset + length - 1) / blockBytes)
      for (let block = Math.floor(offset / blockBytes); block <= last; block += 1) {
        const newer = newest.get(block)
        if (newer === undefined) continue
        const copy = Buffer.from(await blocks.read(newer.at, blockBytes))
        if (newer.escaped) copy.writeUInt32BE(MAGIC, 0)
        const from = Math.max(offset, block * blockBytes)
        const to = Math.min(offset + length, (block + 1) * blockBytes)
        copy.copy(bytes, from - offset, from - block * blockBytes, to - block * blockBytes)
      }
      return bytes
    },
  }
}

const unreadable = (what: string): FormatError =>
  new FormatError(`ext4: the journal of the volume can't be replayed: ${what}`, {
    hint: 'Let e2fsck replay it on a copy of the image.',
  })

async function openLog(volume: OpenVolume): Promise<Log> {
  const { superblock, content } = volume
  const { blockBytes, journalInode } = superblock
  if (journalInode === 0) throw unreadable('it lies on another device')
  const inode = await readSystemInode(volume, journalInode)
  const places: number[] = []
  for await (const { offset, source, length } of dataRuns(volume, inode))
    for (let at = 0; at < length; at += blockBytes) places[(offset + at) / blockBytes] = source + at
  const placeOf = (block: number): number => {
    const place = places[block]
    if (place === undefined) throw unreadable(`it has no block ${block}`)
    return place
  }
  const read = async (block: number) => Buffer.from(await content.read(placeOf(block), blockBytes))
  const head = await read(0)
  const word = (at: number) => head.readUInt32BE(at)
  if (word(0) !== MAGIC || word(4) !== BLOCK.superblockV2) throw unreadable('its superblock is not valid')
  if (word(0x0c) !== blockBytes) throw unreadable(`its blocks have ${word(0x0c)} bytes`)
  const known = Object.values(INCOMPAT).reduce((sum, bit) => sum + bit, 0)
  const incompat = word(0x28)
  if ((incompat & ~known) !== 0) throw unreadable(`unknown features 0x${(incompat & ~known).toString(16)}`)
  const features = (name: keyof typeof INCOMPAT) => (incompat & INCOMPAT[name]) !== 0
  const summed = features('csumV2') || features('csumV3')
  if (summed && crc32cWithout(CRC_START, head.subarray(0, 1024), 0xfc, 4) !== word(0xfc))
    throw unreadable('its superblock fails its checksum')
  const fast = features('fastCommit') ? word(0x54) || 256 : 0
  const [length, first] = [word(0x10), word(0x14)]
  const end = length - fast
  if (first < 1 || first >= end || length > places.length)
    throw unreadable(`it has ${length} blocks from ${first} on`)
  return {
    ...{ read, placeOf, first, end, features },
    start: word(0x1c),
    sequence: word(0x18),
    seed: crc32c(CRC_START, head.subarray(0x30, 0x40)),
    fastCommits: fast > 0 ? end : undefined,
  }
}

/** All transactions that were committed, in order. */
async function scan(log: Log) {
  const transactions: { sequence: number; blocks: { tag: Tag; block: number }[] }[] = []
  const revoked = new Map<number, number>()
  const after = (block: number, count = 1) => {
    const next = block + count
    return next < log.end ? next : next - log.end + log.first
  }
  let block = log.start
  let sequence = log.sequence
  let pending: { tag: Tag; block: number }[] = []
  let pendingRevokes: number[] = []
  // No log is longer than its ring.
  for (let seen = 0; seen <= log.end; ) {
    const bytes = await log.read(block)
    if (bytes.readUInt32BE(0) !== MAGIC || bytes.readUInt32BE(8) !== sequence) break
    const type = bytes.readUInt32BE(4)
    if (type === BLOCK.descriptor || type === BLOCK.revoke) {
      if (!tailFits(log, bytes)) break
      if (type === BLOCK.revoke) pendingRevokes.push(...readRevokes(log, bytes))
      const tags = type === BLOCK.descriptor ? readTags(log, bytes) : []
      for (const [index, tag] of tags.entries()) pending.push({ tag, block: after(block, index + 1) })
      block = after(block, tags.length + 1)
      seen += tags.length + 1
      continue
    }
    if (type !== BLOCK.commit || !commitFits(log, bytes)) break
    transactions.push({ sequence, blocks: pending })
    for (const number of pendingRevokes) revoked.set(number, sequence)
    pending = []
    pendingRevokes = []
    block = after(block)
    seen += 1
    sequence = (sequence + 1) % 2 ** 32
  }
  return { transactions, revoked, next: sequence }
}

function readTags(log: Log, bytes: Buffer): Tag[] {
  const v3 = log.features('csumV3')
  const tagBytes = v3 ? 16 : 8 + (log.features('csumV2') ? 2 : 0) + (log.features('wide') ? 4 : 0)
  const end = bytes.length - (v3 || log.features('csumV2') ? TAIL_BYTES : 0)
  const tags: Tag[] = []
  for (let at = HEADER_BYTES; at + tagBytes <= end; ) {
    const flags = v3 ? bytes.readUInt32BE(at + 4) : bytes.readUInt16BE(at + 6)
    const high = log.features('wide') ? bytes.readUInt32BE(at + 8) : 0
    const checksum = v3 ? bytes.readUInt32BE(at + 12) : bytes.readUInt16BE(at + 4)
    tags.push({ block: bytes.readUInt32BE(at) + high * 2 ** 32, flags, checksum })
    at += tagBytes + ((flags & TAG.sameUuid) !== 0 ? 0 : 16)
    if ((flags & TAG.last) !== 0) break
  }
  return tags
}

function readRevokes(log: Log, bytes: Buffer): number[] {
  const end = Math.min(bytes.readUInt32BE(HEADER_BYTES), bytes.length)
  const step = log.features('wide') ? 8 : 4
  const numbers: number[] = []
  for (let at = REVOKE_HEADER_BYTES; at + step <= end; at += step)
    numbers.push(step === 8 ? Number(bytes.readBigUInt64BE(at)) : bytes.readUInt32BE(at))
  return numbers
}

const hasSums = (log: Log): boolean => log.features('csumV2') || log.features('csumV3')

const tailFits = (log: Log, bytes: Buffer): boolean =>
  !hasSums(log) ||
  crc32cWithout(log.seed, bytes, bytes.length - TAIL_BYTES, TAIL_BYTES) ===
    bytes.readUInt32BE(bytes.length - TAIL_BYTES)

const commitFits = (log: Log, bytes: Buffer): boolean =>
  !hasSums(log) || crc32cWithout(log.seed, bytes, COMMIT_CHECKSUM, 4) === bytes.readUInt32BE(COMMIT_CHECKSUM)

function sumFits(log: Log, { checksum }: Tag, sequence: number, bytes: Buffer): boolean {
  if (!hasSums(log)) return true
  const number = Buffer.alloc(4)
  number.writeUInt32BE(sequence)
  const sum = crc32c(crc32c(log.seed, number), bytes)
  return log.features('csumV3') ? sum === checksum : sum % 2 ** 16 === checksum
}
