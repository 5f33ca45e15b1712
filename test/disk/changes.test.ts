/** Changes against a plain buffer that is changed for real. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BlockReader } from '../../src/disk/blocks.ts'
import { Changes } from '../../src/disk/changes.ts'
import { FormatError } from '../../src/errors.ts'
import { memoryReader } from '../support/memory-reader.ts'

const LENGTH = 512 * 7 + 100

const edit = fc
  .tuple(fc.nat(LENGTH), fc.uint8Array({ maxLength: 1500 }))
  .map(([offset, bytes]) => ({ offset, bytes: bytes.subarray(0, LENGTH - offset) }))

test('any edits read back as on a plain buffer; outside the ranges all is as before', async () => {
  const base = Uint8Array.from({ length: LENGTH }, (_, i) => i % 251)
  const span = fc.tuple(fc.nat(LENGTH), fc.nat(LENGTH))
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { maxLength: 6 }), span, async (edits, [a, b]) => {
      const changes = new Changes(memoryReader(base))
      const plain = base.slice()
      for (const { offset, bytes } of edits) {
        await changes.write(offset, bytes)
        plain.set(bytes, offset)
      }
      const from = Math.min(a, b)
      const to = Math.max(a, b)
      assert.deepEqual(
        Buffer.from(await changes.read(from, to - from)),
        Buffer.from(plain.subarray(from, to)),
      )
      const patched = base.slice()
      for (const { offset, length } of changes.ranges()) {
        patched.set(await changes.read(offset, length), offset)
      }
      assert.deepEqual(patched, plain)
    }),
  )
})

test('sectors that are replaced whole are never read from the base', async () => {
  const reads: number[] = []
  const base: BlockReader = {
    length: LENGTH,
    async read(offset, length) {
      reads.push(offset)
      return new Uint8Array(length)
    },
  }
  const changes = new Changes(base)
  await changes.write(512, new Uint8Array(1024).fill(1))
  await changes.write(512 * 7, new Uint8Array(100).fill(2))
  assert.equal((await changes.read(600, 900))[0], 1)
  assert.deepEqual(reads, [])
  await changes.write(10, new Uint8Array(1))
  assert.deepEqual(reads, [0])
  assert.equal(changes.sectorCount, 4)
})

test('writing past the end is refused', async () => {
  const changes = new Changes(memoryReader(new Uint8Array(1024)))
  await assert.rejects(changes.write(1000, new Uint8Array(25)), FormatError)
  assert.equal(changes.sectorCount, 0)
})
