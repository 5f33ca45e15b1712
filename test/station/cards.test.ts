/** Cards made at the station, over HTTP, on loop devices. */
import assert from 'node:assert/strict'
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { TableView } from '../../src/station/view.ts'
import { DEMO_LAYOUT, demoProject, type Project } from '../support/project.ts'
import { journalOf, makeCards, Reader } from '../support/readers.ts'
import { startStation } from '../support/station.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const slotOf = (table: TableView, { path }: Reader) => table.slots.find(({ slot }) => slot === path)

/** A station with one reader, and what is in it. */
async function stationWith(t: TestContext, project: Project, ...names: string[]) {
  const readers = names.map((name) => new Reader(t, project, name))
  const station = await startStation(t, project, { readers: readers.map(({ path }) => path) })
  const cardIn = (reader: Reader) => station.until('a card is in', (table) => slotOf(table, reader)?.card)
  const resultOf = (reader: Reader, kind: string) =>
    station.until(`${reader.path} is ${kind}`, (table) => {
      const slot = slotOf(table, reader)
      return slot?.work === null && slot.result?.kind === kind ? slot.result : undefined
    })
  return { station, readers: readers as [Reader, ...Reader[]], cardIn, resultOf }
}

/** One reader, and nothing in it yet. */
async function stationWithReader(t: TestContext) {
  const project = demoProject(t)
  const { readers, ...others } = await stationWith(t, project, 'reader')
  return { project, reader: readers[0], ...others }
}

test('a card comes, is confirmed, written, pulled, and compared when it is put back in', async (t) => {
  if (!needRoot(t)) return
  const { project, reader, station, cardIn, resultOf } = await stationWithReader(t)
  assert.deepEqual(
    (await station.table()).cluster.nodes.map(({ name, done }) => [name, done]),
    [
      ['hammond', null],
      ['oneil', null],
      ['carter', null],
    ],
  )
  makeCards(project, 'card')
  reader.insert('card')
  const { medium, refusal, receipt, size } = await cardIn(reader)
  assert.deepEqual([refusal, receipt, size], [null, null, DEMO_LAYOUT.length])
  const ordered = await station.order('flash', { slot: reader.path, medium, node: 'oneil' })
  assert.equal(ordered.status, 200, ordered.text)
  const written = await resultOf(reader, 'written')
  assert.equal(written.kind === 'written' && written.node, 'oneil')
  const checked = await project.piimage('inspect', project.file('card'), '--check', '--node', 'oneil')
  assert.equal(checked.status, 0, checked.stderr)
  assert.deepEqual(Object.keys(journalOf(project).done), ['oneil'])
  const told = station.events
    .filter(({ event }) => event !== 'progress')
    .map(({ event, slot }) => [event, slot])
  for (const event of ['target', 'flashed', 'done'])
    assert.ok(
      told.some(([name, slot]) => name === event && slot === reader.path),
      event,
    )

  reader.eject()
  await station.until('it is out', (table) => slotOf(table, reader)?.card === null)
  reader.insert('card')
  await resultOf(reader, 'compared')
  const { done } = (await station.table()).cluster.nodes[1] ?? {}
  assert.ok(done?.compared)
})

test('a card that forgets what was written is not green after it was put back in', async (t) => {
  if (!needRoot(t)) return
  const { project, reader, station, cardIn, resultOf } = await stationWithReader(t)
  makeCards(project, 'card')
  reader.insert('card')
  const { medium } = await cardIn(reader)
  await station.order('flash', { slot: reader.path, medium, node: 'oneil' })
  await resultOf(reader, 'written')
  reader.eject()
  const file = openSync(project.file('card'), 'r+')
  writeSync(file, Buffer.from('gone'), 0, 4, DEMO_LAYOUT.boot.offset + 20 * 1024 * 1024)
  writeSync(file, Buffer.alloc(512, 0xff), 0, 512, DEMO_LAYOUT.root.offset + 2048)
  await station.until('it is out', (table) => slotOf(table, reader)?.card === null)
  reader.insert('card')
  const failed = await resultOf(reader, 'failed')
  assert.ok(failed.kind === 'failed' && failed.during === 'compare')
  assert.match(failed.error.message, /differs from the plan for oneil/, failed.error.message)
  assert.equal((await station.table()).cluster.nodes[1]?.done?.compared, null)
})

test('what flash refuses, the station refuses: with its sentence, and nothing is written', async (t) => {
  if (!needRoot(t)) return
  const { project, reader, station, cardIn, resultOf } = await stationWithReader(t)
  makeCards(project, 'card')
  reader.insert('card', { readOnly: true })
  const protectedCard = await cardIn(reader)
  assert.match(protectedCard.refusal?.message ?? '', /is write-protected/)
  assert.equal(
    (await station.order('flash', { slot: reader.path, medium: protectedCard.medium, node: 'oneil' })).status,
    200,
  )
  const failed = await resultOf(reader, 'failed')
  assert.ok(failed.kind === 'failed' && /is write-protected/.test(failed.error.message))
  assert.match(failed.error.hint ?? '', /lock switch/)

  // Another card than the one that was confirmed.
  reader.eject()
  await station.until('it is out', (table) => slotOf(table, reader)?.card === null)
  reader.insert('card')
  const { medium } = await cardIn(reader)
  assert.notEqual(medium, protectedCard.medium)
  const other = await station.order('flash', {
    slot: reader.path,
    medium: protectedCard.medium,
    node: 'oneil',
  })
  assert.equal(other.status, 409)
  assert.match(other.text, /holds another card than the one that was confirmed/)

  // Exchanged between the last look and the order: the guard itself sees that.
  reader.eject()
  makeCards(project, 'other')
  reader.insert('other')
  const swapped = await station.order('flash', { slot: reader.path, medium, node: 'oneil' })
  if (swapped.status === 200) {
    const result = await resultOf(reader, 'failed')
    assert.ok(result.kind === 'failed' && /is not the drive that was confirmed/.test(result.error.message))
  } else assert.match(swapped.text, /another card/)

  const small = 'small'
  writeFileSync(project.file(small), Buffer.alloc(1024 * 1024))
  reader.eject()
  await station.until('it is out', (table) => slotOf(table, reader)?.card === null)
  reader.insert(small)
  const tooSmall = await cardIn(reader)
  await station.order('flash', { slot: reader.path, medium: tooSmall.medium, node: 'oneil' })
  const result = await resultOf(reader, 'failed')
  assert.ok(result.kind === 'failed' && /is too small/.test(result.error.message))
  for (const card of ['card', 'other'])
    assert.ok(readFileSync(project.file(card)).equals(Buffer.alloc(DEMO_LAYOUT.length, 0xa5)), card)
})

test('a batch: each card becomes the next node; what somebody may miss waits for a person', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.vfat', 'dosfstools') === undefined) return
  const project = demoProject(t)
  const { station, readers, cardIn, resultOf } = await stationWith(t, project, 'left', 'right')
  const [left, right] = readers as [Reader, Reader]
  makeCards(project, 'a', 'b', 'photos')
  writeFileSync(project.file('photos'), Buffer.alloc(DEMO_LAYOUT.length))
  writeFileSync(project.file('cat.jpg'), 'meow')
  assert.equal(run('mkfs.vfat', ['-n', 'PHOTOS', project.file('photos')]).status, 0)
  assert.equal(run('mcopy', ['-i', project.file('photos'), project.file('cat.jpg'), '::']).status, 0)

  // What was in already is left as it is, unless it was given away.
  left.insert('a')
  const { medium } = await cardIn(left)
  assert.equal((await station.order('arm', { armed: true })).status, 200)
  right.insert('photos')
  const leftAlone = await resultOf(right, 'left')
  assert.ok(
    leftAlone.kind === 'left' && /holds PHOTOS.*did not write/.test(leftAlone.reason),
    JSON.stringify(leftAlone),
  )
  assert.deepEqual(
    [(await station.slot(left.path))?.work, (await station.slot(left.path))?.result],
    [null, null],
  )

  await station.order('arm', { armed: true, media: [medium] })
  await resultOf(left, 'written')
  right.insert('b')
  const second = await resultOf(right, 'written')
  assert.ok(second.kind === 'written' && second.node === 'oneil')
  assert.deepEqual(Object.keys(journalOf(project).done), ['hammond', 'oneil'])

  // The first one again by mistake: compared, never another node.
  left.eject()
  await station.until('it is out', (table) => slotOf(table, left)?.card === null)
  left.insert('a')
  await resultOf(left, 'compared')
  left.eject()
  await station.until('it is out', (table) => slotOf(table, left)?.card === null)
  left.insert('a')
  const known = await resultOf(left, 'left')
  assert.ok(known.kind === 'left' && /card of hammond, which is done/.test(known.reason))

  await station.order('arm', { armed: false })
  assert.equal((await station.table()).armed, false)
})

test('one card of a node, unless it replaces the other; and one station of a cluster', async (t) => {
  if (!needRoot(t)) return
  const { project, reader, station, cardIn, resultOf } = await stationWithReader(t)
  makeCards(project, 'first', 'second')
  reader.insert('first')
  await station.order('flash', { slot: reader.path, medium: (await cardIn(reader)).medium, node: 'carter' })
  await resultOf(reader, 'written')
  await assert.rejects(startStation(t, project), /another piimage \(process \d+\) has a station or a batch/)
  const batch = await project.piimage('flash', '--all', reader.path, '--yes')
  assert.match(batch.stderr, /another piimage/)

  // Killed and started again: the journal says what is done.
  await station.stop()
  const next = await startStation(t, project, { readers: [reader.path] })
  const card = await next.until('a card is in', (table) => slotOf(table, reader)?.card)
  assert.equal(card.receipt?.node, 'carter')
  assert.ok((await next.table()).cluster.nodes[2]?.done)
  const again = { slot: reader.path, medium: card.medium, node: 'carter' }
  assert.match((await next.order('flash', again)).text, /carter has its card already/)
  assert.equal((await next.order('flash', { ...again, again: true })).status, 200)
  await next.until('written', (table) => slotOf(table, reader)?.result?.kind === 'written')
})

test('the cluster file is followed: mistakes by line, no card meanwhile, and what is outdated', async (t) => {
  if (!needRoot(t)) return
  const { project, reader, station, cardIn, resultOf } = await stationWithReader(t)
  makeCards(project, 'card')
  reader.insert('card')
  const { medium } = await cardIn(reader)
  await station.order('flash', { slot: reader.path, medium, node: 'hammond' })
  await resultOf(reader, 'written')
  const file = project.file('cluster.yaml')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('192.168.2.10/24', '192.168.2.11/24'))
  const mistake = await station.until('mistakes', ({ cluster }) => cluster.mistakes[0])
  assert.ok(mistake.line > 1 && /192\.168\.2\.11/.test(mistake.message), JSON.stringify(mistake))
  const refused = await station.order('flash', { slot: reader.path, medium, node: 'oneil' })
  assert.equal(refused.status, 409)
  assert.match(refused.text, /192\.168\.2\.11/)
  writeFileSync(file, text.replace('192.168.2.10/24', '192.168.2.20/24'))
  await station.until('outdated', ({ cluster }) => cluster.nodes[0]?.done?.outdated)
  assert.equal((await station.table()).cluster.nodes[0]?.address, '192.168.2.20')
  const plan = JSON.parse((await station.get('/api/plan?node=hammond')).text)
  assert.match(plan.diff, /192\.168\.2\.20/)
  assert.equal((await station.get('/api/plan?node=nobody')).status, 409)
})
