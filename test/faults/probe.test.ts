/** The probe beside f3probe, its judge, on the same simulated cards: same verdict, same size, fewer bytes. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Capacity, probeCapacity } from '../../src/flash/probe.ts'
import { openDriveTarget } from '../../src/flash/target.ts'
import { allocateAligned } from '../../src/io/aligned-buffer.ts'
import { KiB, MiB } from '../../src/units.ts'
import { type Oddity, oddCard } from '../support/bad-card.ts'
import { needTool, run } from '../support/tools.ts'

const CARD_BYTES = 64 * MiB

const cards: { name: string; odd: Oddity; finds: Capacity; judge: { verdict: RegExp; usable?: number } }[] = [
  { name: 'a good one', odd: {}, finds: { kind: 'whole' }, judge: { verdict: /is the real thing/ } },
  {
    name: 'half of it, the rest wraps around',
    odd: { real: 32 * MiB, beyond: 'wraps' },
    finds: { kind: 'wraps', holds: 32 * MiB },
    judge: { verdict: /counterfeit of type wraparound/, usable: 32 * MiB },
  },
  {
    name: 'an eighth of it, the rest wraps around',
    odd: { real: 8 * MiB, beyond: 'wraps' },
    finds: { kind: 'wraps', holds: 8 * MiB },
    // So small that f3probe's search for the card's own memory leaves it.
    judge: { verdict: /is damaged/ },
  },
  {
    name: 'half of it, the rest is lost',
    odd: { real: 32 * MiB, beyond: 'lost' },
    finds: { kind: 'ends', holds: 32 * MiB },
    judge: { verdict: /counterfeit of type limbo/, usable: 32 * MiB },
  },
  {
    name: '20 MiB of it, the rest is an error',
    odd: { real: 20 * MiB, beyond: 'error' },
    finds: { kind: 'ends', holds: 20 * MiB },
    judge: { verdict: /is damaged/ },
  },
]

for (const { name, odd, finds, judge } of cards) {
  test(`the probe and f3probe agree on ${name}`, async (t) => {
    const f3probe = needTool(t, 'f3probe', 'f3')
    const card = f3probe === undefined ? undefined : await oddCard(t, CARD_BYTES, odd)
    if (card === undefined || f3probe === undefined) return
    const found = await probe(card.path)
    // One grain may be half there; the simulated ones end with a grain.
    assert.deepEqual(found, finds)
    const written = card.bytesWritten()
    assert.ok(written > 0 && written <= 100 * 4 * KiB, `${written} bytes were written`)
    const said = run(f3probe, ['--destructive', '--time-ops', card.path])
    assert.match(said.stdout, judge.verdict, said.stdout + said.stderr)
    if (judge.usable !== undefined) {
      const [, blocks] = /Usable\* size: .*\((\d+) blocks\)/.exec(said.stdout) ?? []
      assert.ok(Math.abs(Number(blocks) * 512 - judge.usable) <= MiB, said.stdout)
    }
    if (judge.usable !== undefined) assert.ok(card.bytesWritten() - written > written, 'f3probe writes more')
  })
}

async function probe(path: string): Promise<Capacity> {
  const target = await openDriveTarget({ path, size: CARD_BYTES })
  try {
    const report = await probeCapacity({
      target,
      buffers: allocateAligned(2, 64 * KiB),
      signal: new AbortController().signal,
      onMark() {},
    })
    return report.capacity
  } finally {
    await target.close()
  }
}

test('a hole that f3probe does not look for', async (t) => {
  const from = 30 * MiB
  const card = await oddCard(t, CARD_BYTES, { dead: { from, end: from + 4 * MiB } })
  if (card === undefined) return
  const found = await probe(card.path)
  assert.ok(found.kind === 'holes', found.kind)
  assert.ok(found.first >= from && found.first < from + 4 * MiB, `${found.first}`)
})

test('a card that takes nothing at all is no matter of its size', async (t: TestContext) => {
  const card = await oddCard(t, CARD_BYTES, { real: 0, beyond: 'error' })
  if (card === undefined) return
  await assert.rejects(probe(card.path), { code: 'EIO' })
})
