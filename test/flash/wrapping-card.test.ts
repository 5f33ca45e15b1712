/** A card that has less than it claims, in memory: it is given up at once, and never left bootable. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VerifyError } from '../../src/flash/difference.ts'
import { writeCard } from '../../src/flash/write.ts'
import { MiB } from '../../src/units.ts'
import { memoryCard } from '../support/memory-card.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { patternBytes } from '../support/pattern.ts'
import { recordTask } from '../support/task.ts'

const REAL_BYTES = 8 * MiB
const image = patternBytes('image', 12 * MiB)

/** What lies beyond 8 MiB lands at the start of the card, the first MiB included. */
async function flashWrapping(retries: number) {
  const card = memoryCard(Buffer.alloc(16 * MiB), { realBytes: REAL_BYTES })
  const request = {
    target: card.target,
    image: memoryReader(image),
    ranges: [{ offset: 0, length: image.length }],
    verified: async () => {},
    verify: true,
    retries,
  }
  let failure: unknown
  await writeCard(request, recordTask()).catch((error) => {
    failure = error
  })
  assert.ok(failure instanceof VerifyError, String(failure))
  assert.ok(failure.difference.isWrap)
  return { card, failure }
}

test('what wrapped into the first MiB is zeroed again after the bad read-back', async () => {
  const { card, failure } = await flashWrapping(0)
  assert.match(failure.message, /; the card was left unbootable$/)
  assert.ok(card.bytes.subarray(0, MiB).equals(Buffer.alloc(MiB)), 'the first MiB holds something')
})

test('a card that wraps is not written again, however many retries are allowed', async () => {
  const [once, often] = [await flashWrapping(0), await flashWrapping(5)]
  assert.deepEqual(often.card.writes, once.card.writes)
  // Each part of the image once, and the first MiB zeroed twice.
  assert.deepEqual(
    often.card.writes.filter((offset) => offset > 0).sort((a, b) => a - b),
    [MiB, 4 * MiB, 8 * MiB],
  )
  assert.equal(often.card.writes.filter((offset) => offset === 0).length, 2)
})
