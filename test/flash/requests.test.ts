import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Range } from '../../src/disk/blocks.ts'
import { planRequests, REQUEST_BYTES, streamRequests } from '../../src/flash/requests.ts'
import { KiB, MiB } from '../../src/units.ts'

const cases: { name: string; ranges: Range[]; requests: Range[] }[] = [
  { name: 'nothing', ranges: [], requests: [] },
  { name: 'an empty range', ranges: [{ offset: 5 * MiB, length: 0 }], requests: [] },
  { name: 'what lies before the begin', ranges: [{ offset: 0, length: MiB }], requests: [] },
  {
    name: 'one byte',
    ranges: [{ offset: 5 * MiB + 1, length: 1 }],
    requests: [{ offset: 5 * MiB, length: 4 * KiB }],
  },
  {
    name: 'cut at the begin',
    ranges: [{ offset: 100, length: 2 * MiB }],
    requests: [{ offset: MiB, length: MiB + 4 * KiB }],
  },
  {
    name: 'cut at the end',
    ranges: [{ offset: 63 * MiB, length: 9 * MiB }],
    requests: [{ offset: 63 * MiB, length: MiB }],
  },
  {
    name: 'a gap of 252 KiB is filled',
    ranges: [
      { offset: 8 * MiB, length: 4 * KiB },
      { offset: 8 * MiB + 256 * KiB, length: 4 * KiB },
    ],
    requests: [{ offset: 8 * MiB, length: 260 * KiB }],
  },
  {
    name: 'a gap of 256 KiB is skipped',
    ranges: [
      { offset: 8 * MiB, length: 4 * KiB },
      { offset: 8 * MiB + 260 * KiB, length: 4 * KiB },
    ],
    requests: [
      { offset: 8 * MiB, length: 4 * KiB },
      { offset: 8 * MiB + 260 * KiB, length: 4 * KiB },
    ],
  },
  {
    name: 'cut at multiples of 4 MiB',
    ranges: [{ offset: 6 * MiB, length: 8 * MiB }],
    requests: [
      { offset: 6 * MiB, length: 2 * MiB },
      { offset: 8 * MiB, length: 4 * MiB },
      { offset: 12 * MiB, length: 2 * MiB },
    ],
  },
]
for (const { name, ranges, requests } of cases)
  test(`planRequests: ${name}`, () =>
    assert.deepEqual(planRequests(ranges, { begin: MiB, end: 64 * MiB }), requests))

test('above 4 GiB nothing wraps', () => {
  const offset = 5 * 1024 * MiB + 8 * KiB
  assert.deepEqual(planRequests([{ offset, length: 3 }], { begin: MiB, end: 64 * 1024 * MiB }), [
    { offset, length: 4 * KiB },
  ])
})

const end = 40 * MiB + 1536
const range = fc.record({
  offset: fc.integer({ min: 0, max: end - 1 }),
  length: fc.integer({ min: 0, max: 3 * MiB }),
})

test('every byte asked for is written once, aligned, in order, and never outside', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
      const requests = planRequests(ranges, { begin: MiB, end })
      let last = MiB
      for (const request of requests) {
        assert.ok(request.offset >= last && request.length > 0 && request.length <= REQUEST_BYTES)
        assert.equal(request.offset % (4 * KiB), 0)
        last = request.offset + request.length
        assert.ok(last <= end && (last % (4 * KiB) === 0 || last === end))
      }
      for (const { offset, length } of ranges) {
        const to = Math.min(end, offset + length)
        for (let at = Math.max(MiB, offset); at < to; ) {
          const request = requests.find((one) => one.offset <= at && at < one.offset + one.length)
          assert.ok(request, `byte ${at} is missing`)
          at = request.offset + request.length
        }
      }
    }),
  )
})

test('ranges one by one give the same requests as all at once, of any size', async () => {
  const sizes = fc.constantFrom(MiB, 2 * MiB, REQUEST_BYTES)
  await fc.assert(
    fc.asyncProperty(fc.array(range, { maxLength: 12 }), sizes, async (ranges, mostBytes) => {
      const bounds = { begin: MiB, end, mostBytes }
      const sorted = [...ranges].sort((a, b) => a.offset - b.offset)
      const streamed = []
      for await (const request of streamRequests(oneByOne(sorted), bounds)) streamed.push(request)
      assert.deepEqual(streamed, planRequests(ranges, bounds))
      assert.ok(streamed.every(({ length }) => length <= mostBytes))
    }),
  )
})

test('a request is given out before the next run is known', async () => {
  async function* endless() {
    yield { offset: MiB, length: 9 * MiB }
    await new Promise(() => {})
  }
  const requests = streamRequests(endless(), { begin: MiB, end: 64 * MiB })
  assert.deepEqual((await requests.next()).value, { offset: MiB, length: 3 * MiB })
  assert.deepEqual((await requests.next()).value, { offset: 4 * MiB, length: 4 * MiB })
})

async function* oneByOne(ranges: readonly Range[]) {
  yield* ranges
}
