/**
 * One gzip member at the start of bytes that go on with something else, which
 * Node's own gunzip takes for damage.
 *
 * Source: RFC 1952 §2.3 (header, flags, length at the end).
 */
import { inflateRawSync } from 'node:zlib'

/** More than any kernel or initial RAM disk unpacks to. */
const MAX_UNPACKED_BYTES = 512 * 1024 * 1024
const TRAILER_BYTES = 8

export const isGzip = (bytes: Buffer): boolean => bytes.length > 18 && bytes.readUInt16BE(0) === 0x1f8b

/** @returns what was packed, and the length of the member; undefined: torn or damaged */
export function readGzipMember(bytes: Buffer): { bytes: Buffer; length: number } | undefined {
  const start = headerBytes(bytes)
  try {
    const packed = bytes.subarray(start)
    const { buffer, engine } = inflateRawSync(packed, {
      maxOutputLength: MAX_UNPACKED_BYTES,
      info: true,
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } }
    const end = start + engine.bytesWritten
    const isWhole = bytes.length >= end + TRAILER_BYTES && bytes.readUInt32LE(end + 4) === buffer.length
    return isWhole ? { bytes: buffer, length: end + TRAILER_BYTES } : undefined
  } catch {
    return undefined
  }
}

function headerBytes(bytes: Buffer): number {
  const flags = bytes[3] ?? 0
  const has = (bit: number) => Math.floor(flags / bit) % 2 === 1
  let end = 10
  if (has(4)) end += 2 + (bytes.length >= end + 2 ? bytes.readUInt16LE(end) : 0)
  for (const bit of [8, 16]) if (has(bit)) end = bytes.indexOf(0, end) + 1
  return has(2) ? end + 2 : end
}
