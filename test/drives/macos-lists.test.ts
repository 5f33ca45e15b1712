/** Every drive of every Mac gets the right answer, and a system's drive never passes, whatever is not told of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Drive } from '../../src/drives/drive.ts'
import { describeMacDrives } from '../../src/drives/macos.ts'
import { type PlistValue, parsePlist } from '../../src/drives/plist.ts'
import { findRefusal, proofOf } from '../../src/drives/refusal.ts'
import { MiB } from '../../src/units.ts'
import { type Dict, type Mac, macs, plistXml, systems } from '../support/mac-records.ts'

const IMAGE_BYTES = 16 * MiB

const describe = ({ list, infos }: Mac): Drive[] =>
  describeMacDrives(parsePlist(plistXml(list)), (id) => infos.get(id), {
    exists: (path) => path === '/Volumes/TM/Backups.backupdb',
  })

const judge = (drive: Drive, unmount: boolean): string =>
  findRefusal(drive, { imageLength: IMAGE_BYTES, unmount, holdsCache: false })?.message ?? 'ok'

function assertVerdict(drive: Drive, expected: string, unmount: boolean): void {
  const said = judge(drive, unmount)
  const wanted = expected === 'system' ? 'holds the running system' : expected
  if (expected === 'ok') assert.equal(said, 'ok', drive.path)
  else assert.ok(said.includes(wanted), `${drive.path}: ${said}; expected: ${wanted}`)
}

for (const { mac, verdicts, unmounting } of macs)
  test(`${mac.name}: ${JSON.stringify(verdicts)}`, () => {
    const drives = describe(mac)
    assert.deepEqual(
      drives.map(({ path }) => path).sort(),
      Object.keys(verdicts)
        .map((id) => `/dev/${id}`)
        .sort(),
    )
    for (const drive of drives) {
      const id = drive.path.slice('/dev/'.length)
      assertVerdict(drive, verdicts[id] ?? '', false)
      // --unmount opens no door but that of a mounted spare drive.
      assertVerdict(drive, unmounting?.[id] ?? verdicts[id] ?? '', true)
    }
  })

test('there are at least thirty lists', () => assert.ok(macs.length >= 30, String(macs.length)))

/** All dicts below a value, itself included. */
function dictsIn(value: PlistValue): Dict[] {
  if (Array.isArray(value)) return value.flatMap(dictsIn)
  if (typeof value !== 'object') return []
  return [value, ...Object.values(value).flatMap(dictsIn)]
}

/** A copy of all records with each key left out, or kept, as the numbers say. */
function withoutKeys(mac: Mac, isLeftOut: (index: number) => boolean): Mac {
  const copy = structuredClone({ list: mac.list, infos: [...mac.infos] })
  let index = 0
  for (const dict of dictsIn([copy.list, ...copy.infos.map(([, dict]) => dict)]))
    for (const key of Object.keys(dict)) {
      if (isLeftOut(index)) delete dict[key]
      index += 1
    }
  return { ...mac, list: copy.list, infos: new Map(copy.infos) }
}

const keyCount = ({ list, infos }: Mac): number =>
  dictsIn([list, ...infos.values()]).reduce((sum, dict) => sum + Object.keys(dict).length, 0)

function assertNeverAccepted(mac: Mac, disks: readonly string[]): void {
  for (const drive of describeMacDrives(mac.list, (id) => mac.infos.get(id))) {
    if (!disks.includes(drive.path.slice('/dev/'.length))) continue
    // With all that a person could say for it.
    const options = { imageLength: 0, unmount: true, holdsCache: false }
    assert.ok(findRefusal(drive, { ...options, serial: proofOf(drive) }), `${mac.name}: ${drive.path}`)
    assert.ok(findRefusal(drive, options), `${mac.name}: ${drive.path}`)
  }
}

const RUNS_PER_MACHINE = 2500
for (const { mac, disks } of systems)
  test(`whatever is not told of ${mac.name}, ${disks.join(' and ')} is never accepted`, () => {
    const count = keyCount(mac)
    // Each key alone, each pair, then random subsets from few to nearly all.
    for (let one = 0; one < count; one += 1)
      for (let other = one; other < Math.min(count, one + 40); other += 1)
        assertNeverAccepted(
          withoutKeys(mac, (index) => index === one || index === other),
          disks,
        )
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, share) => {
        const random = numbers(seed)
        assertNeverAccepted(
          withoutKeys(mac, () => random() < share),
          disks,
        )
      }),
      { numRuns: RUNS_PER_MACHINE },
    )
  })

/** mulberry32 */
function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}
