import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeDifference, findDifference } from '../../src/flash/difference.ts'
import { KiB, MiB } from '../../src/units.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { patternBytes } from '../support/pattern.ts'

const image = patternBytes('image', 20 * MiB)
const start = 3 * MiB
const expected = image.subarray(start, start + 64 * KiB)

const cases: {
  name: string
  damage: (bytes: Buffer) => void
  offset: number
  length: number
  looksLike: string
}[] = [
  {
    name: 'one bit',
    damage: (bytes) => bytes.writeUInt8(bytes.readUInt8(1000) ^ 0x80, 1000),
    offset: 1000,
    length: 1,
    looksLike: '1 bit flipped',
  },
  {
    name: 'two bits, apart but close',
    damage: (bytes) => {
      bytes.writeUInt8(bytes.readUInt8(70) ^ 1, 70)
      bytes.writeUInt8(bytes.readUInt8(75) ^ 1, 75)
    },
    offset: 70,
    length: 6,
    looksLike: '2 bits flipped',
  },
  {
    name: 'two faults far apart: the first',
    damage: (bytes) => {
      bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0)
      bytes.writeUInt8(bytes.readUInt8(5000) ^ 1, 5000)
    },
    offset: 0,
    length: 1,
    looksLike: '1 bit flipped',
  },
  {
    name: 'eight bits, the most that count as flipped',
    damage: (bytes) => bytes.writeUInt8(bytes.readUInt8(70) ^ 0xff, 70),
    offset: 70,
    length: 1,
    looksLike: '8 bits flipped',
  },
  {
    name: 'nine bits in two bytes',
    damage: (bytes) => {
      bytes.writeUInt8(bytes.readUInt8(70) ^ 0xff, 70)
      bytes.writeUInt8(bytes.readUInt8(71) ^ 1, 71)
    },
    offset: 70,
    length: 2,
    looksLike: 'it holds other data, perhaps what stood there before',
  },
  {
    name: 'zeroes to the end',
    damage: (bytes) => bytes.fill(0, 32 * KiB),
    offset: 32 * KiB,
    length: 32 * KiB,
    looksLike: 'it reads as zeroes',
  },
  {
    name: 'erased flash',
    damage: (bytes) => bytes.fill(0xff, 4096, 8192),
    offset: 4096,
    length: 4096,
    looksLike: 'it reads as 0xff, like erased flash',
  },
  {
    name: 'something else',
    damage: (bytes) => patternBytes('other', 512).copy(bytes, 512),
    offset: 512,
    length: 512,
    looksLike: 'it holds other data, perhaps what stood there before',
  },
  {
    name: 'what belongs 16 MiB further on',
    damage: (bytes) => image.copy(bytes, 0, start + 16 * MiB, start + 16 * MiB + 64 * KiB),
    offset: 0,
    length: 64 * KiB,
    looksLike: `it holds what belongs at offset ${start + 16 * MiB}, as on a card that has only 16.8 MB`,
  },
]
for (const { name, damage, offset, length, looksLike } of cases)
  test(`a difference: ${name}`, async () => {
    const actual = Buffer.from(expected)
    damage(actual)
    const found = findDifference(actual, expected)
    assert.ok(found)
    // Random bytes are equal by chance now and then: at the edges of the damage, that shortens it.
    assert.ok(
      Math.abs(found.offset - offset) <= 2 && Math.abs(found.length - length) <= 4,
      JSON.stringify(found),
    )
    const difference = await describeDifference(actual, expected, start, found, memoryReader(image))
    const isWrap = looksLike.startsWith('it holds what belongs')
    assert.deepEqual(difference, { offset: start + found.offset, length: found.length, looksLike, isWrap })
  })

test('no difference', () => assert.equal(findDifference(Buffer.from(expected), expected), undefined))
