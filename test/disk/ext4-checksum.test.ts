/** Checksums by the check values of the CRC catalogue, and by their own definition bit by bit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CRC_START, crc16, crc32c, crc32cOfNumber, crc32cWithout } from '../../src/disk/ext4/checksum.ts'

const digits = Buffer.from('123456789')

test('check values', () => {
  assert.equal((crc32c(CRC_START, digits) ^ CRC_START) >>> 0, 0xe3069283)
  assert.equal(crc16(0xffff, digits), 0x4b37)
})

/** The definition, one bit after the other. */
function slowCrc32c(crc: number, bytes: Uint8Array): number {
  let c = crc
  for (const byte of bytes) {
    c ^= byte
    for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  }
  return c >>> 0
}

test('crc32c in any pieces', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(), fc.nat(100), (bytes, start, split) => {
      const whole = slowCrc32c(start, bytes)
      assert.equal(crc32c(start, bytes), whole)
      assert.equal(crc32c(crc32c(start, bytes.subarray(0, split)), bytes.subarray(split)), whole)
    }),
  )
})

test('crc32c of a number and around a gap', () => {
  assert.equal(crc32cOfNumber(7, 0xfedcba98), crc32c(7, Buffer.from('98badcfe', 'hex')))
  assert.equal(
    crc32cWithout(7, Buffer.from('0102ffff05', 'hex'), 2, 2),
    crc32c(7, Buffer.from('0102000005', 'hex')),
  )
})
