/**
 * One block of an .xz file as an .xz file of its own: what is put before and
 * behind the block's bytes. Any decoder of whole .xz files thereby decodes
 * single blocks, and checks each against the sizes that the real index gives.
 *
 * The check behind the block (CRC-32, SHA-256) may be left out, for a check
 * that Node computes faster than the decoder or that the decoder doesn't know.
 * Source: The .xz File Format, version 1.2.0, §2 to §4.
 */
import { crc32 } from 'node:zlib'
import { alignUp } from '../units.ts'
import { STREAM_MAGIC, type XzBlock } from './xz-index.ts'
import { writeNumber } from './xz-number.ts'

export interface OneBlock {
  /** The stream header. */
  before: Buffer
  /** How many of the block's bytes in the file go between. */
  blockBytes: number
  /** Index and footer. */
  after: Buffer
}

/** @param keepCheck whether the decoder is to see and test the block's check */
export function wrapOneBlock(block: XzBlock, keepCheck: boolean): OneBlock {
  const unpaddedSize = keepCheck ? block.unpaddedSize : block.unpaddedSize - block.checkBytes
  const flags = Buffer.from([0, keepCheck ? block.check : 0])
  const before = Buffer.concat([Buffer.from(STREAM_MAGIC), flags, littleEndian(crc32(flags))])

  const records = [0, 1, ...writeNumber(unpaddedSize), ...writeNumber(block.size)]
  const index = Buffer.alloc(alignUp(records.length, 4))
  index.set(records)
  const indexBytes = index.length + 4
  const footer = Buffer.concat([littleEndian(indexBytes / 4 - 1), flags])
  const after = Buffer.concat([
    index,
    littleEndian(crc32(index)),
    littleEndian(crc32(footer)),
    footer,
    Buffer.from('YZ'),
  ])
  return { before, blockBytes: alignUp(unpaddedSize, 4), after }
}

function littleEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
