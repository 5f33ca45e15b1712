/**
 * Initial RAM disks: which files are in one.
 *
 * It is cpio archives one behind the other, plain or packed, with zero bytes
 * between them; the kernel takes them all. Microcode and what piimage appends
 * are plain, what initramfs-tools makes is packed with zstd or gzip, seldom xz.
 *
 * Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
import { spawnSync } from 'node:child_process'
import zlib from 'node:zlib'
import { isGzip, readGzipMember } from './gzip-member.ts'
import { lengthOfZstdFrame } from './zstd-frame.ts'

export interface Initramfs {
  /** Paths without a leading slash. */
  names: string[]
  /** The part that could not be looked into. */
  unread?: string
  problem?: string
}

const HEADER_BYTES = 110
const MAX_UNPACKED_BYTES = 512 * 1024 * 1024

/** In @types/node only from 22 on; Node 22's own takes a truncated file for a whole one, which here does no harm. */
const { zstdDecompressSync } = zlib as unknown as {
  zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer
}

/** The same bytes are unpacked once. */
const known = new WeakMap<Uint8Array, Initramfs>()

export function readInitramfs(bytes: Uint8Array): Initramfs {
  const disk = known.get(bytes) ?? read(bytes)
  known.set(bytes, disk)
  return disk
}

function read(bytes: Uint8Array): Initramfs {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const names: string[] = []
  let offset = 0
  while (offset < file.length) {
    if (file[offset] === 0) {
      offset += 1
      continue
    }
    const rest = file.subarray(offset)
    if (isCpio(rest)) {
      const used = readCpio(rest, names)
      if (used === undefined) return { names, problem: `it breaks off after ${names.length} files` }
      offset += used
      continue
    }
    const unpacked = unpack(rest)
    if (unpacked === undefined)
      return { names, problem: `no cpio archive and no packed one at byte ${offset}` }
    if (typeof unpacked === 'string') return { names, unread: unpacked }
    if (readCpio(unpacked.bytes, names) === undefined)
      return { names, problem: `it breaks off after ${names.length} files` }
    offset += unpacked.length
  }
  return names.length === 0 ? { names, problem: 'it is empty' } : { names }
}

const isCpio = (bytes: Buffer): boolean => /^07070[12]/.test(bytes.toString('latin1', 0, 6))

/** Adds the names of an archive. @returns its length; undefined: it is cut off */
function readCpio(bytes: Buffer, names: string[]): number | undefined {
  const aligned = (value: number) => value + ((4 - (value % 4)) % 4)
  for (let offset = 0; offset + HEADER_BYTES <= bytes.length && isCpio(bytes.subarray(offset)); ) {
    const header = bytes.toString('latin1', offset + 6, offset + HEADER_BYTES)
    // A sign would lead backwards, and round and round.
    if (!/^[0-9a-fA-F]+$/.test(header)) return undefined
    const field = (index: number) => Number.parseInt(header.slice(8 * index, 8 * index + 8), 16)
    const [size, nameBytes] = [field(6), field(11)]
    if (!(size >= 0 && nameBytes > 0)) return undefined
    const name = bytes.toString('utf8', offset + HEADER_BYTES, offset + HEADER_BYTES + nameBytes - 1)
    offset = aligned(aligned(offset + HEADER_BYTES + nameBytes) + size)
    if (name === 'TRAILER!!!') return Math.min(offset, bytes.length)
    names.push(name.replace(/^(\.?\/)+/, ''))
  }
  return undefined
}

/** undefined: nothing known; text: known, and not to be unpacked here. */
function unpack(bytes: Buffer): { bytes: Buffer; length: number } | string | undefined {
  if (bytes.length < 6) return undefined
  if (isGzip(bytes)) return readGzipMember(bytes)
  if (bytes.readUInt32LE(0) === 0xfd2fb528) {
    const frame = bytes.subarray(0, lengthOfZstdFrame(bytes))
    const unpacked =
      zstdDecompressSync?.(frame, { maxOutputLength: MAX_UNPACKED_BYTES }) ?? pipe('zstd', frame)
    return unpacked === undefined
      ? 'it is packed with zstd: apt install zstd'
      : { bytes: unpacked, length: frame.length }
  }
  if (bytes.subarray(0, 6).equals(Buffer.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0))) {
    const unpacked = pipe('xz', bytes)
    return unpacked === undefined
      ? 'it is packed with xz: apt install xz-utils'
      : { bytes: unpacked, length: bytes.length }
  }
  if ([0x184c2102, 0x184d2204].includes(bytes.readUInt32LE(0))) return 'it is packed with lz4'
  return undefined
}

/** What a program of the system makes of it, however it judges what follows; undefined: there is none, or nothing came. */
function pipe(program: string, input: Buffer): Buffer | undefined {
  const { stdout } = spawnSync(program, ['-dc'], { input, maxBuffer: MAX_UNPACKED_BYTES })
  return stdout === null || stdout.length === 0 ? undefined : stdout
}
