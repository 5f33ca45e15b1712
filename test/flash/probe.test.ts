/** Where marks stand: every distance of whole grains lies between a near and a far one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MARK_BYTES, planMarks, probeCapacity } from '../../src/flash/probe.ts'
import type { Target } from '../../src/flash/target.ts'
import { GiB, KiB, MiB } from '../../src/units.ts'

const sizes = [8 * MiB, 64 * MiB, 100 * MiB + 512, 4 * GiB, 31_914_983_424, 64 * GiB, 256e9, 2e12]
for (const size of sizes) {
  test(`${size} bytes: few marks, all on the card, and no distance left out`, () => {
    const { grain, near, far } = planMarks(size)
    assert.ok(near.length + far.length <= 520, `${near.length + far.length} marks`)
    for (const offset of [...near, ...far]) {
      assert.equal(offset % MARK_BYTES, 0)
      assert.ok(offset >= MiB && offset + MARK_BYTES <= size, `${offset}`)
    }
    const distances = new Set(far.flatMap((offset) => near.map((other) => offset - other)))
    const most = Math.floor((size - MARK_BYTES - MiB) / grain)
    for (let grains = near.length; grains < most; grains += 1)
      if (!distances.has(grains * grain)) assert.fail(`no two marks are ${grains} grains apart`)
  })
}

/** A card in memory that holds `real` of `size` bytes. */
function fake(size: number, place: (offset: number) => number | undefined): Target {
  const pages = new Map<number, Buffer>()
  return {
    kind: 'drive',
    path: '/dev/fake',
    length: size,
    direct: true,
    async read(into, offset) {
      const at = place(offset)
      const page = at === undefined ? undefined : pages.get(at)
      if (page === undefined) into.fill(0)
      else page.copy(into)
    },
    async write(bytes, offset) {
      const at = place(offset)
      if (at !== undefined) pages.set(at, Buffer.from(bytes))
    },
    async flush() {},
    async commit() {},
    async close() {},
  }
}

const probe = async (target: Target) =>
  probeCapacity({
    target,
    buffers: [Buffer.alloc(64 * KiB), Buffer.alloc(64 * KiB)],
    signal: new AbortController().signal,
    onMark() {},
  })

test('a whole card of 64 GB takes 2 MiB of marks', async () => {
  const { capacity, bytesWritten } = await probe(fake(64 * GiB, (offset) => offset))
  assert.deepEqual(capacity, { kind: 'whole' })
  assert.ok(bytesWritten <= 520 * MARK_BYTES, `${bytesWritten}`)
})

test('cards that wrap after any number of grains are found, with their size', async () => {
  const size = 64 * GiB
  const { grain } = planMarks(size)
  for (let real = 256; real * grain < size - 2 * MiB; real += 1009) {
    const { capacity } = await probe(fake(size, (offset) => offset % (real * grain)))
    assert.deepEqual(capacity, { kind: 'wraps', holds: real * grain })
  }
})

test('cards that end anywhere are found, with the grain in which they do', async () => {
  const size = 64 * GiB
  const { grain } = planMarks(size)
  for (let real = 10 * MiB; real < size; real += 2_347_483_648 + 4096) {
    const { capacity } = await probe(fake(size, (offset) => (offset < real ? offset : undefined)))
    assert.ok(capacity.kind === 'ends', capacity.kind)
    assert.ok(Math.abs(capacity.holds - real) <= grain, `${real}: ${capacity.holds}`)
  }
})

test('a hole as wide as the marks stand apart is found wherever it lies', async () => {
  const size = 64 * GiB
  const { far } = planMarks(size)
  const wide = (far[1] ?? 0) - (far[0] ?? 0)
  for (let from = 300 * MiB; from + wide < size - wide; from += 5_347_483_648) {
    const { capacity } = await probe(
      fake(size, (offset) => (offset < from || offset >= from + wide ? offset : undefined)),
    )
    assert.equal(capacity.kind, 'holes', `${from}`)
  }
})
