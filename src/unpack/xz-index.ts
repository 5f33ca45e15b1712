/**
 * Where the blocks of an .xz file are.
 *
 * An .xz file is one or more streams, perhaps with zero padding between them:
 *
 *     header(12) block block … index footer(12)   [padding]   header …
 *
 * The index at each stream's end lists its blocks' sizes, so blocks can be
 * found without decoding anything, and decoded independently of each other.
 * Everything structural is checked here (magics, CRC-32s, sizes that add up to
 * the file's), so what is left to a decoder is the inside of one block.
 *
 * Units: bytes. `unpaddedSize` is the format's word: block header + compressed
 * data + check, without the 0–3 bytes of padding between the latter two.
 * Source: The .xz File Format, version 1.2.0, §2 to §4.
 */
import { crc32 } from 'node:zlib'
import type { FormatError } from '../errors.ts'
import { alignUp } from '../units.ts'
import { brokenFile, type PackedFile, readUpTo } from './decoding.ts'
import { type BlockHeader, HEADER_MAX_BYTES, readBlockHeader } from './xz-block-header.ts'
import { readNumber } from './xz-number.ts'

/** Check id → bytes; ids the format reserves have sizes too. §2.1.1.2 */
export const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64]

export interface XzBlock extends BlockHeader {
  /** Of the block header in the file. */
  offset: number
  unpaddedSize: number
  /** Bytes of the image in this block. */
  size: number
  /** 0 none, 1 CRC-32, 4 CRC-64, 10 SHA-256. */
  check: number
  checkBytes: number
}

export const STREAM_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]
export const STREAM_HEADER_BYTES = 12
const FOOTER_BYTES = 12
const PADDING_WINDOW = 65536

/** More blocks than any image has; a bound for what a hostile index can make us hold. */
const MAX_BLOCKS = 262_144
/** A record takes at most 18 bytes. */
const MAX_INDEX_BYTES = MAX_BLOCKS * 18

/**
 * All blocks of the file, in order.
 * @throws {FormatError} the file is not a whole .xz file
 */
export async function readXzBlocks(file: PackedFile, signal: AbortSignal): Promise<XzBlock[]> {
  const streams: XzBlock[][] = []
  let blockCount = 0
  let end = file.size
  while (end > 0) {
    signal.throwIfAborted()
    end = await skipPadding(file, end, streams.length === 0)
    const stream = await readStream(file, end, signal)
    blockCount += stream.blocks.length
    if (blockCount > MAX_BLOCKS) throw tooManyBlocks(file, end)
    streams.push(stream.blocks)
    end = stream.offset
  }
  return streams.reverse().flat()
}

const tooManyBlocks = (file: PackedFile, offset: number): FormatError =>
  brokenFile(file, 'xz', offset, `its index claims more than ${MAX_BLOCKS} blocks`)

/** The end of the stream before `end`: stream padding is zeroes in fours. §2.2 */
async function skipPadding(file: PackedFile, end: number, last: boolean): Promise<number> {
  let at = end
  for (;;) {
    const start = Math.max(0, at - PADDING_WINDOW)
    const window = await readUpTo(file, start, at - start)
    let left = window.length
    while (left > 0 && window[left - 1] === 0) left -= 1
    at = start + left
    if (left > 0 || start === 0) break
  }
  const padded = end - at
  if (at < STREAM_HEADER_BYTES + FOOTER_BYTES || padded % 4 !== 0) {
    throw brokenFile(
      file,
      'xz',
      at,
      last ? 'it is truncated, or zeroes follow it' : 'there are stray zeroes between its streams',
    )
  }
  return at
}

interface XzStream {
  offset: number
  blocks: XzBlock[]
}

async function readStream(file: PackedFile, end: number, signal: AbortSignal): Promise<XzStream> {
  const footerOffset = end - FOOTER_BYTES
  if (footerOffset < STREAM_HEADER_BYTES) throw brokenFile(file, 'xz', end, 'a stream is missing its start')
  const footer = await readUpTo(file, footerOffset, FOOTER_BYTES)
  if (footer.toString('latin1', 10) !== 'YZ') {
    throw brokenFile(file, 'xz', footerOffset, 'no stream footer: it is truncated, or other bytes follow it')
  }
  if (crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) {
    throw brokenFile(file, 'xz', footerOffset, 'the stream footer fails its CRC-32')
  }
  const flags = footer.subarray(8, 10)
  const check = readCheckId(file, flags, footerOffset + 8)
  const indexBytes = (footer.readUInt32LE(4) + 1) * 4
  const indexOffset = footerOffset - indexBytes
  if (indexOffset < STREAM_HEADER_BYTES)
    throw brokenFile(file, 'xz', footerOffset, 'the index is longer than the file')
  if (indexBytes > MAX_INDEX_BYTES) throw tooManyBlocks(file, indexOffset)

  const records = readIndex(file, indexOffset, await readUpTo(file, indexOffset, indexBytes))
  const blocksBytes = records.reduce((sum, record) => sum + alignUp(record.unpaddedSize, 4), 0)
  const offset = indexOffset - blocksBytes - STREAM_HEADER_BYTES
  if (offset < 0)
    throw brokenFile(file, 'xz', indexOffset, 'the blocks in the index are longer than the file')

  const header = await readUpTo(file, offset, STREAM_HEADER_BYTES)
  if (!STREAM_MAGIC.every((byte, index) => header[index] === byte)) {
    throw brokenFile(file, 'xz', offset, 'no stream header where the index puts it')
  }
  if (!header.subarray(6, 8).equals(flags))
    throw brokenFile(file, 'xz', offset + 6, 'header and footer differ')
  if (crc32(flags) !== header.readUInt32LE(8))
    throw brokenFile(file, 'xz', offset, 'the stream header fails its CRC-32')

  const blocks: XzBlock[] = []
  let at = offset + STREAM_HEADER_BYTES
  for (const record of records) {
    signal.throwIfAborted()
    const checkBytes = CHECK_BYTES[check] ?? 0
    const head = readBlockHeader(file, at, await readUpTo(file, at, HEADER_MAX_BYTES))
    if (head.headerBytes + checkBytes >= record.unpaddedSize) {
      throw brokenFile(file, 'xz', at, 'a block is shorter than its own header')
    }
    blocks.push({ ...head, ...record, offset: at, check, checkBytes })
    at += alignUp(record.unpaddedSize, 4)
  }
  return { offset, blocks }
}

export function readCheckId(file: PackedFile, flags: Buffer, offset: number): number {
  const [first, second] = flags
  if (first !== 0 || second === undefined || second > 15) {
    throw brokenFile(file, 'xz', offset, `unknown stream flags ${flags.toString('hex')}`)
  }
  return second
}

interface IndexRecord {
  unpaddedSize: number
  size: number
}

function readIndex(file: PackedFile, offset: number, index: Buffer): IndexRecord[] {
  const broken = (what: string) => brokenFile(file, 'xz', offset, what)
  const crcOffset = index.length - 4
  if (index[0] !== 0) throw broken('no index where the footer puts it')
  if (crc32(index.subarray(0, crcOffset)) !== index.readUInt32LE(crcOffset))
    throw broken('the index fails its CRC-32')
  let at = 1
  const next = (): number => {
    const number = readNumber(index.subarray(0, crcOffset), at)
    if (number === undefined) throw broken('the index holds an impossible number')
    at = number.next
    return number.value
  }
  const count = next()
  if (count > MAX_BLOCKS) throw tooManyBlocks(file, offset)
  const records: IndexRecord[] = []
  let total = 0
  for (let i = 0; i < count; i++) {
    const unpaddedSize = next()
    const size = next()
    total += size + unpaddedSize
    if (unpaddedSize < 5 || total > Number.MAX_SAFE_INTEGER)
      throw broken('the index holds an impossible size')
    records.push({ unpaddedSize, size })
  }
  if (crcOffset - at > 3 || index.subarray(at, crcOffset).some((byte) => byte !== 0)) {
    throw broken('the index is longer than its records')
  }
  return records
}
