/** Zeroes that a card holds already are not written again, and never taken for there when they are not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CardReport, CardRequest } from '../../src/flash/card.ts'
import { VerifyError } from '../../src/flash/difference.ts'
import { openFileTarget, type Target } from '../../src/flash/target.ts'
import { writeCard } from '../../src/flash/write.ts'
import { KiB, MiB } from '../../src/units.ts'
import { memoryCard } from '../support/memory-card.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { patternBytes } from '../support/pattern.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'

const BLOCKS = 8
const IMAGE_BYTES = BLOCKS * MiB
const data = patternBytes('data', MiB)
const old = patternBytes('old', MiB)

const flash = (target: Target, image: Buffer, options: Partial<CardRequest> = {}): Promise<CardReport> =>
  writeCard(
    {
      target,
      image: memoryReader(image),
      ranges: [{ offset: 0, length: image.length }],
      verified: async () => {},
      verify: true,
      ...options,
    },
    recordTask(),
  )

/** Data in the first block and in the given ones, zeroes elsewhere. */
function imageWith(blocks: readonly number[]): Buffer {
  const image = Buffer.alloc(IMAGE_BYTES)
  for (const block of [0, ...blocks]) data.copy(image, block * MiB)
  return image
}

test('on a new card only what is not zero is written, and all of it is read back', async () => {
  const card = memoryCard(Buffer.alloc(IMAGE_BYTES))
  const image = imageWith([3, 6])
  const report = await flash(card.target, image)
  assert.deepEqual(card.bytes, image)
  // The first MiB is blanked first.
  assert.equal(card.written, MiB + 3 * MiB)
  assert.equal(report.bytesWritten, 3 * MiB)
  assert.equal(report.bytesFoundZero, 5 * MiB)
  assert.equal(report.bytesSkipped, 5 * MiB)
  assert.equal(report.bytesVerified, IMAGE_BYTES)
  assert.equal(report.rangesWritten, 3)
})

test('on a used card every zero is written, and little is read in vain', async () => {
  const card = memoryCard(patternBytes('used', IMAGE_BYTES))
  const image = imageWith([])
  const report = await flash(card.target, image, { verify: false })
  assert.deepEqual(card.bytes, image)
  assert.equal(report.bytesWritten, IMAGE_BYTES)
  assert.equal(report.bytesFoundZero, 0)
  assert.equal(card.read, (BLOCKS - 1) * 64 * KiB + backupGptBytes)
})

/** The end of a drive is looked at for an old partition table. */
const backupGptBytes = 20 * KiB

test('a card that is zero only where it is looked at first costs a bounded number of reads', async () => {
  const bytes = Buffer.alloc(32 * MiB)
  for (let at = 0; at < bytes.length; at += MiB) bytes.fill(0xa5, at + MiB - 1, at + MiB)
  const card = memoryCard(bytes)
  const image = Buffer.alloc(32 * MiB)
  await flash(card.target, image, { verify: false })
  assert.deepEqual(card.bytes, image)
  // Two requests are under way at once.
  assert.ok(card.read <= 9 * MiB + backupGptBytes, `${card.read} read`)
})

test('--full, and a card that only answers through a cache: everything is written', async () => {
  for (const [faults, skipZeroes] of [
    [{}, false],
    [{ direct: false }, true],
  ] as const) {
    const card = memoryCard(Buffer.alloc(IMAGE_BYTES), faults)
    const report = await flash(card.target, imageWith([]), { skipZeroes })
    assert.equal(report.bytesWritten, IMAGE_BYTES)
    assert.equal(report.bytesFoundZero, 0)
  }
})

test('a place that cannot be read is written', async () => {
  const card = memoryCard(Buffer.alloc(IMAGE_BYTES), { unreadable: 2 * MiB })
  const report = await flash(card.target, imageWith([4]), { verify: false })
  assert.equal(report.bytesWritten, 3 * MiB)
  assert.deepEqual(card.bytes, imageWith([4]))
})

test('zeroes found on a card that is smaller than it claims are read back, and missed', async () => {
  // The data at 5 MiB lands at 1 MiB, where zeroes were found before.
  const card = memoryCard(Buffer.alloc(IMAGE_BYTES), { realBytes: 4 * MiB })
  await assert.rejects(flash(card.target, imageWith([5]), { retries: 2 }), (error: unknown) => {
    assert.ok(error instanceof VerifyError)
    assert.equal(error.difference.offset, MiB)
    return true
  })
  assert.ok(card.bytes.subarray(0, MiB).every((byte) => byte === 0))
})

test('--changed-only writes the zeroes that are missing, without looking twice', async () => {
  const image = imageWith([3])
  const before = Buffer.from(image)
  old.copy(before, 5 * MiB)
  const card = memoryCard(before)
  const report = await flash(card.target, image, { changedOnly: true })
  assert.deepEqual(card.bytes, image)
  assert.equal(report.bytesWritten, 2 * MiB)
  assert.equal(report.bytesFoundZero, 0)
})

test('a new image file keeps holes where zeroes are', async (t) => {
  const path = `${tempFolder(t)}/card.img`
  const target = await openFileTarget(path, IMAGE_BYTES, {
    overwrite: false,
    signal: new AbortController().signal,
  })
  try {
    const report = await flash(target, imageWith([2]))
    assert.equal(report.bytesWritten, 2 * MiB)
  } finally {
    await target.close()
  }
})

test('whatever lies on a card, it ends as the image is', async () => {
  const kinds = ['zero', 'data', 'start', 'end'] as const
  const place = (bytes: Buffer, block: number, kind: (typeof kinds)[number], source: Buffer) => {
    const [from, to] = { zero: [0, 0], data: [0, MiB], start: [0, 4 * KiB], end: [MiB - 1, MiB] }[kind] as [
      number,
      number,
    ]
    source.copy(bytes, block * MiB + from, from, to)
  }
  const kind = fc.constantFrom(...kinds)
  const blocks = fc.array(fc.tuple(kind, kind), { minLength: BLOCKS, maxLength: BLOCKS })
  const sizes = fc.constantFrom(MiB, 2 * MiB, 4 * MiB)
  await fc.assert(
    fc.asyncProperty(blocks, sizes, fc.integer({ min: 0, max: 300 }), async (plan, requestBytes, shift) => {
      const image = Buffer.alloc(IMAGE_BYTES)
      const card = memoryCard(Buffer.alloc(IMAGE_BYTES + MiB))
      for (const [block, [inImage, onCard]] of plan.entries()) {
        place(image, block, inImage, data)
        place(card.bytes, block, onCard, old)
      }
      // Ranges need not start at a block.
      const offset = shift * 4 * KiB
      const ranges = [{ offset, length: IMAGE_BYTES - offset }]
      const report = await flash(card.target, image, { ranges, requestBytes })
      assert.deepEqual(card.bytes.subarray(offset, IMAGE_BYTES), image.subarray(offset))
      assert.equal(report.bytesWritten + report.bytesFoundZero, MiB + IMAGE_BYTES - Math.max(MiB, offset))
    }),
    { numRuns: 40 },
  )
})
