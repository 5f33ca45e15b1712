import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryReader } from '../support/memory-reader.ts'
import { readUsedRanges } from '../support/used-ranges.ts'

const SECTOR = 512

/** An image with an MBR of these partitions, in sectors. */
function imageOf(sectors: number, partitions: { start: number; count: number; type: number }[]): Uint8Array {
  const image = Buffer.alloc(sectors * SECTOR)
  for (const [index, { start, count, type }] of partitions.entries()) {
    const at = 446 + 16 * index
    image.writeUInt8(type, at + 4)
    image.writeUInt32LE(start, at + 8)
    image.writeUInt32LE(count, at + 12)
  }
  image.writeUInt16LE(0xaa55, 510)
  return image
}

test('what is not understood is used: unknown partitions, the gaps between them, and what follows', async () => {
  const image = imageOf(1000, [
    { start: 100, count: 200, type: 0x83 },
    { start: 500, count: 100, type: 0x0c },
  ])
  const { ranges, opaque } = await readUsedRanges(memoryReader(image))
  assert.deepEqual(ranges, [{ offset: 0, length: 1000 * SECTOR }])
  assert.deepEqual(
    opaque.map(({ partition }) => partition),
    [1, 2],
  )
})

test('a damaged file system is written whole, and the reason is told', async () => {
  const image = Buffer.from(imageOf(4000, [{ start: 64, count: 3000, type: 0x83 }]))
  // The magic of ext4 in a superblock of nonsense.
  image.writeUInt16LE(0xef53, 64 * SECTOR + 1024 + 56)
  const { ranges, opaque } = await readUsedRanges(memoryReader(image))
  assert.deepEqual(ranges, [{ offset: 0, length: 4000 * SECTOR }])
  assert.equal(opaque.length, 1)
  assert.notEqual(opaque[0]?.reason, '')
})
