/**
 * Kernel images: which CPU each is for, whether it is whole, and its release
 * (`6.12.34+rpt-rpi-v8`), which names the folder of its modules.
 *
 * A 64-bit image may be packed with gzip as a whole; the firmware unpacks it. A
 * 32-bit zImage unpacks itself; only its gzip form is looked into.
 *
 * Source: Linux, Documentation/arch/arm64/booting.rst (header) and
 * arch/arm/boot/compressed/head.S (zImage header); PE/COFF section table for
 * how long an image with an EFI stub must be.
 */
import { isGzip, readGzipMember } from './gzip-member.ts'

export interface KernelImage {
  arch?: 'arm64' | 'arm'
  /** undefined: it can't be told. */
  release?: string
  /** What is wrong with the file. */
  problem?: string
}

const ARM64_MAGIC = 0x644d5241
const ZIMAGE_MAGIC = 0x016f2818

/** The same bytes are unpacked once. */
const known = new WeakMap<Uint8Array, KernelImage>()

export function readKernelImage(bytes: Uint8Array): KernelImage {
  const image = known.get(bytes) ?? read(bytes)
  known.set(bytes, image)
  return image
}

function read(bytes: Uint8Array): KernelImage {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (isGzip(file)) {
    const image = readGzipMember(file)?.bytes
    return image === undefined
      ? { problem: `the gzip file ends or breaks off within its ${file.length} bytes` }
      : readPlain(image)
  }
  return readPlain(file)
}

function readPlain(image: Buffer): KernelImage {
  if (image.length >= 64 && image.readUInt32LE(56) === ARM64_MAGIC) {
    const needed = bytesOfSections(image)
    return {
      arch: 'arm64',
      ...releaseIn(image),
      problem: needed > image.length ? `it has ${image.length} bytes and needs ${needed}` : undefined,
    }
  }
  if (image.length >= 48 && image.readUInt32LE(36) === ZIMAGE_MAGIC) {
    const needed = image.readUInt32LE(44) - image.readUInt32LE(40)
    if (needed > image.length)
      return { arch: 'arm', problem: `it has ${image.length} bytes and needs ${needed}` }
    const packed = image.indexOf(Buffer.of(0x1f, 0x8b, 8))
    const unpacked = packed === -1 ? undefined : readGzipMember(image.subarray(packed))?.bytes
    return { arch: 'arm', ...releaseIn(unpacked ?? image) }
  }
  return { problem: `its ${image.length} bytes have the header of no ARM kernel` }
}

/** Where the last section of a PE image ends; 0 without an EFI stub. */
function bytesOfSections(image: Buffer): number {
  const pe = image.readUInt16LE(0) === 0x5a4d ? image.readUInt32LE(60) : 0
  if (pe === 0 || pe + 24 > image.length || image.readUInt32LE(pe) !== 0x4550) return 0
  const count = image.readUInt16LE(pe + 6)
  const first = pe + 24 + image.readUInt16LE(pe + 20)
  let end = 0
  for (let index = 0; index < count; index++) {
    const section = first + 40 * index
    if (section + 40 > image.length) return section + 40
    end = Math.max(end, image.readUInt32LE(section + 16) + image.readUInt32LE(section + 20))
  }
  return end
}

function releaseIn(image: Buffer): { release?: string } {
  for (let at = image.indexOf('Linux version '); at !== -1; at = image.indexOf('Linux version ', at + 1)) {
    const release = /^Linux version (\d[\w.+~-]*) /.exec(image.toString('latin1', at, at + 200))?.[1]
    if (release !== undefined) return { release }
  }
  return {}
}
