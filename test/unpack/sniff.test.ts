import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FormatError } from '../../src/errors.ts'
import { type PackFormat, sniff } from '../../src/unpack/sniff.ts'
import { makeImage, noise } from './samples.ts'

const at = (offset: number, bytes: readonly number[], length = 8192): Buffer => {
  const start = Buffer.alloc(length)
  start.set(bytes, offset)
  return start
}

const known: { name: string; start: Buffer; format: PackFormat }[] = [
  { name: 'xz', start: at(0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), format: 'xz' },
  { name: 'gzip', start: at(0, [0x1f, 0x8b, 0x08]), format: 'gz' },
  { name: 'zstd', start: at(0, [0x28, 0xb5, 0x2f, 0xfd]), format: 'zst' },
  { name: 'zstd with a skippable frame first', start: at(0, [0x50, 0x2a, 0x4d, 0x18]), format: 'zst' },
  { name: 'zip', start: at(0, [0x50, 0x4b, 0x03, 0x04]), format: 'zip' },
  { name: 'empty zip', start: at(0, [0x50, 0x4b, 0x05, 0x06]), format: 'zip' },
  { name: 'disk image', start: makeImage().subarray(0, 8192), format: 'img' },
]
for (const { name, start, format } of known) {
  test(`sniff: ${name}`, () => assert.equal(sniff(start, 'x'), format))
}

const fatBootSector = at(0, [0xeb, 0x58, 0x90])
fatBootSector.set(Buffer.from('FAT32   '), 82)
fatBootSector.set(noise(64), 446)
fatBootSector.set([0x55, 0xaa], 510)

const unknown: { name: string; start: Buffer; says: RegExp }[] = [
  { name: 'empty', start: Buffer.alloc(0), says: /it is empty/ },
  { name: 'short', start: Buffer.from([0xfd, 0x37]), says: /fd 37/ },
  { name: 'zeroes', start: Buffer.alloc(8192), says: /only zeroes/ },
  { name: 'web page', start: Buffer.from('\n<!DOCTYPE html><html>'), says: /web page/ },
  { name: 'bzip2', start: Buffer.from('BZh91AY'), says: /bzip2/ },
  { name: 'tar', start: at(257, [0x75, 0x73, 0x74, 0x61, 0x72]), says: /tar archive/ },
  { name: 'ext4', start: at(1080, [0x53, 0xef]), says: /without a partition table/ },
  { name: 'FAT', start: fatBootSector, says: /FAT volume without/ },
  { name: 'MBR without entries', start: at(510, [0x55, 0xaa]), says: /no partition table/ },
  { name: 'text', start: Buffer.from('Not Found, sorry about that'), says: /"Not Found, sorry"/ },
]
for (const { name, start, says } of unknown) {
  test(`sniff refuses: ${name}`, () => {
    assert.throws(
      () => sniff(start, 'some/file'),
      (error) =>
        error instanceof FormatError && says.test(error.message) && error.message.includes('some/file'),
    )
  })
}
