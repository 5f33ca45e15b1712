/**
 * The header of one .xz block: which filters it needs and how much memory.
 * Read before anything is decoded, so that the right decoder is chosen at the
 * start and not after half an image.
 * Source: The .xz File Format, version 1.2.0, §3.1 and §5.3.
 */
import { crc32 } from 'node:zlib'
import { brokenFile, type PackedFile } from './decoding.ts'
import { readNumber } from './xz-number.ts'

export interface BlockHeader {
  headerBytes: number
  /** Names as xz(1) gives them, in file order; `lzma2` comes last. */
  filters: string[]
  /** Bytes of history the decoder keeps: 8 MiB for xz -6, 64 MiB for xz -9. */
  dictionaryBytes: number
  /** Bytes of compressed data and of image in the block, where its header says so: `xz -T` writes them. */
  sizes?: { packed: number; unpacked: number }
}

export const HEADER_MAX_BYTES = 1024

const FILTER_NAMES = new Map([
  [0x03, 'delta'],
  [0x04, 'x86'],
  [0x05, 'powerpc'],
  [0x06, 'ia64'],
  [0x07, 'arm'],
  [0x08, 'armthumb'],
  [0x09, 'sparc'],
  [0x0a, 'arm64'],
  [0x0b, 'riscv'],
  [0x21, 'lzma2'],
])

/**
 * @param offset where the block is in the file, for messages
 * @param bytes the first HEADER_MAX_BYTES of the block, or all there are
 * @throws {FormatError} it is no block header, or it fails its CRC-32
 */
export function readBlockHeader(file: PackedFile, offset: number, bytes: Buffer): BlockHeader {
  const broken = (what: string) => brokenFile(file, 'xz', offset, what)
  const headerBytes = ((bytes[0] ?? 0) + 1) * 4
  if (headerBytes < 8 || headerBytes > bytes.length) throw broken('no block where the index puts one')
  const header = bytes.subarray(0, headerBytes - 4)
  if (crc32(header) !== bytes.readUInt32LE(headerBytes - 4)) throw broken('a block header fails its CRC-32')

  const flags = header[1] ?? 0
  let at = 2
  const next = (): number => {
    const number = readNumber(header, at)
    if (number === undefined) throw broken('a block header holds an impossible number')
    at = number.next
    return number.value
  }
  const packed = flags & 0x40 ? next() : undefined
  const unpacked = flags & 0x80 ? next() : undefined
  const filters: string[] = []
  let dictionaryBytes = 0
  for (let i = 0; i <= (flags & 0x03); i++) {
    const id = next()
    const propertyBytes = next()
    const property = header[at]
    at += propertyBytes
    if (at > header.length) throw broken('a block header is too short for its filters')
    filters.push(FILTER_NAMES.get(id) ?? `0x${id.toString(16)}`)
    if (id === 0x21) dictionaryBytes = readDictionaryBytes(property) ?? 0
  }
  if (dictionaryBytes === 0) throw broken('a block is not LZMA2 with a dictionary')
  const known = packed !== undefined && unpacked !== undefined
  return { headerBytes, filters, dictionaryBytes, sizes: known ? { packed, unpacked } : undefined }
}

/** §5.3.1: 2 or 3 times a power of two from 4 KiB to 3 GiB; 40 means 4 GiB - 1. */
function readDictionaryBytes(property: number | undefined): number | undefined {
  if (property === undefined || property > 40) return undefined
  if (property === 40) return 2 ** 32 - 1
  return (2 + (property % 2)) * 2 ** (Math.floor(property / 2) + 11)
}
