/** Which editions of a node stay on the server, and which it ran on last. Plain files: nothing is mounted. */
import assert from 'node:assert/strict'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type EditionRecord, editionRecord } from '../../src/netroot/edition.ts'
import { lastStarted } from '../../src/netroot/editions.ts'
import { stayingEditions } from '../../src/netroot/prune.ts'
import { tempFolder } from '../support/temp.ts'

const edition = (name: string, rootMode: EditionRecord['rootMode'] = 'copy'): EditionRecord =>
  editionRecord('/srv/piimage/demo', {
    ...{ node: 'oneil', edition: name, generation: 'g', image: 'i', rootMode, ip: '10.3.50.11' },
  })

/** As the node leaves it when it is up. @param seconds when that was */
function start(prefix: string, { rootFolder }: EditionRecord, seconds: number): void {
  const folder = join(prefix, rootFolder, 'var/lib/piimage')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'booted'), '')
  utimesSync(join(folder, 'booted'), seconds, seconds)
}

const editions = ['a', 'b', 'c', 'd', 'e'].map((name) => edition(name))
const [a, b, c] = editions as [EditionRecord, EditionRecord, EditionRecord]

test('the edition that was started last is the one that says so last, in whatever order they stand', async (t) => {
  const prefix = tempFolder(t)
  const here = (path: string) => join(prefix, path)
  assert.equal(await lastStarted(editions, here), undefined)
  for (const [record, seconds] of [
    [b, 3000],
    [a, 1000],
    [c, 2000],
  ] as const)
    start(prefix, record, seconds)
  assert.equal((await lastStarted(editions, here))?.edition, 'b')
  assert.equal((await lastStarted([...editions].reverse(), here))?.edition, 'b')
})

test('prune keeps the current edition, the newest others, and what may still be running', async (t) => {
  const prefix = tempFolder(t)
  const here = (path: string) => join(prefix, path)
  const staying = async (keep: number, current = 'e') =>
    [...(await stayingEditions(editions, current, keep, here))].sort().join('')
  assert.equal(await staying(0), 'e')
  assert.equal(await staying(1), 'de')
  assert.equal(await staying(2), 'cde')
  assert.equal(await staying(2, 'a'), 'ade', 'after a rollback')
  assert.equal(await staying(9), 'abcde')
  start(prefix, b, 2000)
  start(prefix, a, 1000)
  assert.equal(await staying(1), 'bde', 'it runs on b')
  assert.equal(await staying(0), 'be')
})
