/**
 * The checksums of ext4: CRC-32C (Castagnoli) over metadata, and the older
 * CRC-16 over group descriptors.
 *
 * Both are used "raw", as the kernel does: the caller passes the running value
 * and no final inversion takes place, so that checksums can be chained (file
 * system seed → inode number → generation → block).
 *
 * Source: Linux Documentation/filesystems/ext4 ("Checksums"); RFC 3720 appendix
 * B.4 for the polynomial.
 */

/** Start value of a chain. */
export const CRC_START = 0xffffffff

/** Eight tables: table k advances a byte that is followed by k more (slicing-by-8). */
const tables = makeTables(0x82f63b78)

function makeTables(polynomial: number): Uint32Array[] {
  const first = new Uint32Array(256)
  for (let value = 0; value < 256; value += 1) {
    let crc = value
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    first[value] = crc
  }
  const all = [first]
  for (let k = 1; k < 8; k += 1) {
    const before = all[k - 1] as Uint32Array
    all.push(before.map((crc) => (crc >>> 8) ^ (first[crc & 0xff] as number)))
  }
  return all
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

/**
 * CRC-32C of `bytes`, continued from `crc`.
 *
 * @param crc CRC_START, or what an earlier call returned
 * @returns 0 to 2^32-1, not inverted
 */
export function crc32c(crc: number, bytes: Uint8Array): number {
  let c = crc
  let i = 0
  const whole = bytes.length - (bytes.length % 8)
  // The indices are in range and the tables full: the casts say so to the compiler and cost nothing.
  for (; i < whole; i += 8) {
    const a = (bytes[i] as number) ^ (c & 0xff)
    const b = (bytes[i + 1] as number) ^ ((c >>> 8) & 0xff)
    const d = (bytes[i + 2] as number) ^ ((c >>> 16) & 0xff)
    const e = (bytes[i + 3] as number) ^ (c >>> 24)
    c =
      (t7[a] as number) ^
      (t6[b] as number) ^
      (t5[d] as number) ^
      (t4[e] as number) ^
      (t3[bytes[i + 4] as number] as number) ^
      (t2[bytes[i + 5] as number] as number) ^
      (t1[bytes[i + 6] as number] as number) ^
      (t0[bytes[i + 7] as number] as number)
  }
  for (; i < bytes.length; i += 1) c = (c >>> 8) ^ (t0[(c ^ (bytes[i] as number)) & 0xff] as number)
  return c >>> 0
}

/** CRC-32C continued over one little-endian 32-bit number. */
export function crc32cOfNumber(crc: number, value: number): number {
  let c = crc
  for (let shift = 0; shift < 32; shift += 8) c = (c >>> 8) ^ (t0[(c ^ (value >>> shift)) & 0xff] as number)
  return c >>> 0
}

/** CRC-32C of `bytes` with zeroes in place of `length` bytes at `at`: where the checksum itself is stored. */
export function crc32cWithout(crc: number, bytes: Uint8Array, at: number, length: number): number {
  const head = crc32c(crc, bytes.subarray(0, at))
  return crc32c(crc32c(head, new Uint8Array(length)), bytes.subarray(at + length))
}

/** CRC-16 (polynomial 0xA001 reflected), start 0xffff: group descriptors with `uninit_bg`. */
export function crc16(crc: number, bytes: Uint8Array): number {
  let c = crc
  for (const byte of bytes) {
    c ^= byte
    for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? (c >>> 1) ^ 0xa001 : c >>> 1
  }
  return c
}
