/** Which editions prune keeps: no root, no image, plain folders. */
import assert from 'node:assert/strict'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type EditionRecord, editionRecord } from '../../src/netroot/edition.ts'
import { lastStarted } from '../../src/netroot/editions.ts'
import { stayingEditions } from '../../src/netroot/prune.ts'
import { tempFolder } from '../support/temp.ts'

/** Oldest first. @param started seconds at which each was last started; undefined: never */
function editions(folder: string, started: readonly (number | undefined)[]): EditionRecord[] {
  return started.map((seconds, index) => {
    const facts = { node: 'oneil', generation: 'g', image: 'i', rootMode: 'copy' as const, ip: '10.3.50.11' }
    const record = editionRecord('/state', { ...facts, edition: `e${index}` })
    const booted = join(folder, record.rootFolder, 'var/lib/piimage')
    mkdirSync(booted, { recursive: true })
    if (seconds === undefined) return record
    writeFileSync(join(booted, 'booted'), '')
    utimesSync(join(booted, 'booted'), seconds, seconds)
    return record
  })
}

const cases: { name: string; started: (number | undefined)[]; keep: number; stay: string[] }[] = [
  { name: 'none was started', started: [undefined, undefined, undefined], keep: 0, stay: ['e2'] },
  {
    name: 'the newest of the others',
    started: [undefined, undefined, undefined],
    keep: 1,
    stay: ['e1', 'e2'],
  },
  {
    name: 'the last one started, not the first',
    started: [100, 300, 200, undefined],
    keep: 0,
    stay: ['e1', 'e3'],
  },
  {
    name: 'started and newest',
    started: [300, 100, undefined, undefined],
    keep: 1,
    stay: ['e0', 'e2', 'e3'],
  },
]
for (const { name, started, keep, stay } of cases)
  test(`kept with --keep ${keep}: ${name}`, async (t) => {
    const folder = tempFolder(t)
    const all = editions(folder, started)
    const here = (path: string) => join(folder, path)
    const staying = await stayingEditions(all, all.at(-1)?.edition, keep, here)
    assert.deepEqual([...staying].sort(), stay)
  })

test('what an earlier piimage laid out on the head\u2019s own file system never stays', async (t) => {
  const folder = tempFolder(t)
  const [old, ...others] = editions(folder, [500, 100, undefined])
  assert.ok(old)
  const { images: _, ip: __, ...before } = old
  const here = (path: string) => join(folder, path)
  const staying = await stayingEditions([before, ...others], 'e2', 5, here)
  assert.deepEqual([...staying].sort(), ['e1', 'e2'])
  assert.equal((await lastStarted(others, here))?.edition, 'e1')
})
