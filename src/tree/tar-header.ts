/**
 * The 512 bytes before each entry of a tar, in the three forms that archives of
 * root file systems come in: POSIX (ustar), GNU, and the old one without a name.
 *
 * Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual,
 * "Basic Tar Format" (numbers in base 256).
 */
import { trimEnd } from '../trim-end.ts'

export const TAR_BLOCK_BYTES = 512

export interface TarHeader {
  name: Buffer
  mode: number
  uid: number
  gid: number
  size: number
  /** Seconds since 1970. */
  mtime: number
  /** One character: `0` a file, `x` the records for the next entry… */
  type: string
  linkName: Buffer
  major: number
  minor: number
}

/** Where what stands, and how many bytes it has. */
const NAME = [0, 100] as const
const MODE = [100, 8] as const
const UID = [108, 8] as const
const GID = [116, 8] as const
const SIZE = [124, 12] as const
const MTIME = [136, 12] as const
const CHECKSUM = [148, 8] as const
const TYPE = 156
const LINK_NAME = [157, 100] as const
const MAGIC = [257, 8] as const
const MAJOR = [329, 8] as const
const MINOR = [337, 8] as const
const PREFIX = [345, 155] as const

type Field = readonly [offset: number, length: number]

/** Two of them end an archive. */
export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0)
}

/** @returns undefined for what is no header: a wrong checksum, a number that is none */
export function readTarHeader(block: Buffer): TarHeader | undefined {
  if (readTarNumber(block, CHECKSUM) !== checksum(block)) return undefined
  const numbers = [MODE, UID, GID, SIZE, MTIME].map((field) => readTarNumber(block, field))
  const [mode, uid, gid, size, mtime] = numbers
  const magic = block.toString('latin1', MAGIC[0], MAGIC[0] + MAGIC[1])
  const posix = magic.startsWith('ustar\0')
  const named = posix || magic === 'ustar  \0'
  const major = named ? readTarNumber(block, MAJOR) : 0
  const minor = named ? readTarNumber(block, MINOR) : 0
  if (mode === undefined || uid === undefined || gid === undefined || size === undefined) return undefined
  if (mtime === undefined || major === undefined || minor === undefined || size < 0) return undefined
  const prefix = posix ? readText(block, PREFIX) : Buffer.alloc(0)
  const name = readText(block, NAME)
  return {
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]),
    mode: mode % 0o10000,
    uid,
    gid,
    size,
    mtime,
    type: String.fromCharCode(block[TYPE] || 0x30),
    linkName: readText(block, LINK_NAME),
    major,
    minor,
  }
}

function readText(block: Buffer, [offset, length]: Field): Buffer {
  const field = block.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return end === -1 ? field : field.subarray(0, end)
}

/** Octal digits, or, where they don't suffice, a number in base 256 with the top bit set. */
export function readTarNumber(block: Buffer, [offset, length]: Field): number | undefined {
  const field = block.subarray(offset, offset + length)
  const first = field[0] as number
  if (first >= 0x80) {
    let value = first === 0xff ? -1 : first % 0x80
    for (const byte of field.subarray(1)) value = value * 256 + byte
    return Number.isSafeInteger(value) ? value : undefined
  }
  const text = trimEnd(field.toString('latin1'), '\0 ').trimStart()
  if (text === '') return 0
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined
}

function checksum(block: Buffer): number {
  let sum = 8 * 0x20
  for (let i = 0; i < TAR_BLOCK_BYTES; i += 1)
    if (i < CHECKSUM[0] || i >= CHECKSUM[0] + CHECKSUM[1]) sum += block[i] as number
  return sum
}
