/** Cards that fail in every way a card can: no green, nothing in the journal, and each says what to do. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { sha256 } from '../../src/digest.ts'
import type { ResultView, TableView, WorkView } from '../../src/station/view.ts'
import { type Oddity, oddCard } from '../support/bad-card.ts'
import { openBrowser, openPage } from '../support/browser.ts'
import { attachLoop, attachLoopDevice, detachLoopDevice, makeSparseFile } from '../support/loop.ts'
import { DEMO_LAYOUT, demoProject, type Project } from '../support/project.ts'
import { journalOf, makeCards, Reader } from '../support/readers.ts'
import { askAt, startStation } from '../support/station.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const { boot, root } = DEMO_LAYOUT
const written = root.offset + 4096

for (const [what, odd, says] of [
  ['a write that fails', { writeErrorAt: written }, /write|I\/O|EIO/i],
  ['a read that fails', { readErrorAt: written }, /read|I\/O|EIO/i],
  ['a bit that is turned when written', { flipWriteAt: written }, /differs from what was written/],
  ['a bit that is turned when read', { flipReadAt: written }, /differs from what was written/],
  [
    'a part that takes writes and forgets',
    { dead: { from: root.offset, end: root.offset + 65_536 } },
    /differs from what was written/,
  ],
  [
    'a card that takes every write and keeps none',
    { dead: { from: 0, end: DEMO_LAYOUT.length } },
    /differs from what was written/,
  ],
  ['a smaller card than it says, that wraps', { real: boot.offset + 65_536, beyond: 'wraps' }, /./],
  ['a smaller card than it says, that loses', { real: root.offset, beyond: 'lost' }, /./],
  ['a smaller card than it says, that fails', { real: root.offset, beyond: 'error' }, /./],
] as const satisfies readonly [string, Oddity, RegExp][])
  test(`${what}: failed, with a way on`, async (t) => {
    if (!needRoot(t)) return
    const card = await oddCard(t, DEMO_LAYOUT.length, odd)
    if (card === undefined) return
    const project = demoProject(t)
    const station = await startStation(t, project, { readers: [card.path] })
    const slotOf = ({ slots }: TableView) => slots.find(({ slot }) => slot === card.path)
    const { medium } = await station.until('a card is in', (table) => slotOf(table)?.card)
    await station.order('flash', { slot: card.path, medium, node: 'oneil' })
    const result = await station.until('an end', (table) => {
      const slot = slotOf(table)
      return slot?.work === null ? slot.result : undefined
    })
    assert.ok(result.kind === 'failed', JSON.stringify(result))
    assert.match(result.error.message, says)
    assert.ok(result.error.hint)
    assert.ok(station.events.some(({ event }) => event === 'failed'))
    assert.ok(!station.events.some(({ event }) => event === 'done' || event === 'flashed'))
    assert.equal(existsSync(project.file('.piimage-batch.json')), false)
    assert.equal((await station.table()).cluster.nodes[1]?.done, null)
  })

test('pulled while it is written, and stopped by hand: failed, and its node still waits', async (t) => {
  if (!needRoot(t)) return
  const [pulled, stopped] = [
    await oddCard(t, DEMO_LAYOUT.length, { delayMs: 200 }),
    await oddCard(t, DEMO_LAYOUT.length, { delayMs: 200 }),
  ]
  if (pulled === undefined || stopped === undefined) return
  const project = demoProject(t)
  const station = await startStation(t, project, { readers: [pulled.path, stopped.path] })
  const both = [pulled, stopped].map(({ path }) => path)
  const slotsOf = ({ slots }: TableView) => both.map((path) => slots.find(({ slot }) => slot === path))
  const media = await station.until('cards are in', (table) => {
    const found = slotsOf(table).map((slot) => slot?.card?.medium)
    return found.every((medium) => medium !== undefined) && found
  })
  await station.order('arm', { armed: true, media })
  await station.until('both are written', (table) =>
    slotsOf(table).every((slot) => slot?.work?.progress?.phase === 'write'),
  )
  pulled.pull()
  assert.equal((await station.order('stop', { slot: stopped.path })).status, 200)
  // The pulled one is another medium once the kernel notices: what became of it stands there before.
  const ends = new Map<string, ResultView>()
  const results = await station.until('both ended', (table) => {
    for (const slot of slotsOf(table))
      if (slot?.work === null && slot.result !== null && !ends.has(slot.slot))
        ends.set(slot.slot, slot.result)
    return ends.size === 2 && both.map((path) => ends.get(path))
  })
  for (const result of results) assert.equal(result?.kind, 'failed')
  assert.match(JSON.stringify(results[1]), /stopped while writing .* left unbootable/)
  const table = await station.table()
  assert.ok(table.cluster.nodes.every(({ done }) => done === null))
})

for (const [phase, odd, isThere] of [
  ['before anything is written', {}, () => true],
  ['while it is read back', { readDelayMs: 400 }, ({ progress }) => progress?.phase === 'verify'],
] as const satisfies readonly [string, Oddity, (work: WorkView) => boolean][])
  test(`pulled ${phase}: failed, and its node still waits`, async (t) => {
    if (!needRoot(t)) return
    const card = await oddCard(t, DEMO_LAYOUT.length, odd)
    if (card === undefined) return
    const project = demoProject(t)
    const station = await startStation(t, project, { readers: [card.path] })
    const slotOf = ({ slots }: TableView) => slots.find(({ slot }) => slot === card.path)
    const { medium } = await station.until('a card is in', (table) => slotOf(table)?.card)
    assert.equal((await station.order('flash', { slot: card.path, medium, node: 'oneil' })).status, 200)
    await station.until(phase, (table) => {
      const work = slotOf(table)?.work
      return work && isThere(work)
    })
    card.pull()
    const result = await station.until('an end', (table) => {
      const slot = slotOf(table)
      return slot?.work === null ? slot.result : undefined
    })
    assert.ok(result.kind === 'failed' && result.error.hint, JSON.stringify(result))
    assert.equal(existsSync(project.file('.piimage-batch.json')), false)
    assert.equal((await station.table()).cluster.nodes[1]?.done, null)
  })

test('pulled while it is compared once more: not equal, and the journal does not say so', async (t) => {
  if (!needRoot(t)) return
  const card = await oddCard(t, DEMO_LAYOUT.length, { readDelayMs: 400 })
  if (card === undefined) return
  const project = demoProject(t)
  const station = await startStation(t, project, { readers: [card.path] })
  const slotOf = ({ slots }: TableView) => slots.find(({ slot }) => slot === card.path)
  const empty = await station.until('a card is in', (table) => slotOf(table)?.card)
  await station.order('flash', { slot: card.path, medium: empty.medium, node: 'oneil' })
  await station.until('it is written', (table) => slotOf(table)?.result?.kind === 'written')
  const made = await station.until(
    'it was looked at',
    (table) => slotOf(table)?.card?.receipt && slotOf(table),
  )
  const { medium } = made.card ?? {}
  assert.equal((await station.order('compare', { slot: card.path, medium })).status, 200)
  card.pull()
  const result = await station.until('an end', (table) => {
    const slot = slotOf(table)
    return slot?.work === null && slot.result?.kind !== 'written' ? slot.result : undefined
  })
  assert.ok(result.kind === 'failed' && result.during === 'compare', JSON.stringify(result))
  assert.ok(result.error.hint)
  assert.equal((await station.table()).cluster.nodes[1]?.done?.compared, null)
})

/** A batch whose one reader gets a card that it must not take. */
async function armedStation(t: TestContext, project: Project) {
  const reader = new Reader(t, project, 'reader')
  const station = await startStation(t, project, { readers: [reader.path] })
  const slotOf = ({ slots }: TableView) => slots.find(({ slot }) => slot === reader.path)
  await station.order('arm', { armed: true })
  return {
    station,
    reader,
    cardIn: () => station.until('a card is in', (table) => slotOf(table)?.card),
    /** Until the batch left it as it is, or it ended in some way. */
    result: () =>
      station.until('an end', (table) => {
        const slot = slotOf(table)
        return slot?.work === null ? slot.result : undefined
      }),
    order: async (node: string, more: object = {}) => {
      const { medium } = await station.until('a card is in', (table) => slotOf(table)?.card)
      return station.order('flash', { slot: reader.path, medium, node, ...more })
    },
  }
}

test('write-protected, too small, or mounted by hand: refused with a way on, in a batch as by hand', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const project = demoProject(t)
  const { station, reader, cardIn, order } = await armedStation(t, project)
  const digest = (name: string) => sha256(readFileSync(project.file(name)))
  const failed = async (says: RegExp, hint: RegExp) => {
    const { error } = await station.until('failed', ({ slots }) =>
      slots[0]?.result?.kind === 'failed' && says.test(slots[0].result.error.message)
        ? slots[0].result
        : undefined,
    )
    assert.match(error.hint ?? '', hint)
  }
  const out = () => station.until('it is out', ({ slots }) => slots[0]?.card === null)
  makeCards(project, 'protected', 'mounted')
  const before = digest('protected')
  reader.insert('protected', { readOnly: true })
  assert.match((await cardIn()).refusal?.message ?? '', /is write-protected/)
  assert.equal((await order('oneil')).status, 200)
  await failed(/is write-protected/, /lock switch/)
  reader.eject()
  await out()
  assert.equal(digest('protected'), before)

  // Given to the batch, as far as anybody can tell.
  writeFileSync(project.file('small'), Buffer.alloc(1024 * 1024))
  reader.insert('small')
  await failed(/is too small: it has 1\.0 MB/, /larger card/)
  reader.eject()
  await out()
  assert.ok(readFileSync(project.file('small')).equals(Buffer.alloc(1024 * 1024)))

  assert.equal(run('mkfs.ext4', ['-q', project.file('mounted')]).status, 0)
  const [loop, place] = [attachLoop(t, project.file('mounted')), project.file('place')]
  mkdirSync(place)
  project.beforeRemoval(() => run('umount', [place]))
  assert.equal(run('mount', [loop, place]).status, 0)
  writeFileSync(`${place}/cat.jpg`, 'meow')
  symlinkSync(loop, reader.path)
  t.after(() => rmSync(reader.path, { force: true }))
  assert.match((await cardIn()).refusal?.message ?? '', /is mounted \(.*place\)/)
  assert.equal((await order('oneil')).status, 200)
  await failed(/is mounted \(.*place\)/, /Unmount it first: sudo umount/)
  assert.equal(readFileSync(`${place}/cat.jpg`, 'utf8'), 'meow')
  assert.equal(existsSync(project.file('.piimage-batch.json')), false)
})

test('mounted by the desktop: a batch leaves it, a person who was asked may have it', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const project = demoProject(t)
  writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length))
  assert.equal(run('mkfs.ext4', ['-q', project.file('card')]).status, 0)
  const place = `/media/piimage-station-${process.pid}`
  mkdirSync(place, { recursive: true })
  const loop = attachLoop(t, project.file('card'))
  t.after(() => run('rmdir', [place]))
  t.after(() => run('umount', [place]))
  assert.equal(run('mount', [loop, place]).status, 0)
  const reader = project.file('reader')
  const station = await startStation(t, project, { readers: [reader] })
  await station.order('arm', { armed: true })
  symlinkSync(loop, reader)
  const left = await station.until('left', ({ slots }) => slots[0]?.result)
  assert.ok(left.kind === 'left' && /holds ext4/.test(left.reason), JSON.stringify(left))
  assert.equal(run('mountpoint', ['--quiet', place]).status, 0)
  assert.match(left.hint ?? '', /choose hammond for it/)
  const { medium, mounts } = await station.until('a card is in', ({ slots }) => slots[0]?.card)
  assert.deepEqual(mounts, [place])
  assert.equal((await station.order('flash', { slot: reader, medium, node: 'oneil' })).status, 200)
  await station.until('it is written', ({ slots }) => slots[0]?.result?.kind === 'written')
  assert.notEqual(run('mountpoint', ['--quiet', place]).status, 0)
})

test("another cluster's card, and one that is done: left as they are, with a way on", async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  const other = demoProject(t)
  const { station, reader, result, order } = await armedStation(t, project)
  makeCards(project, 'done', 'foreign')
  writeFileSync(
    other.file('cluster.yaml'),
    readFileSync(other.file('cluster.yaml'), 'utf8').replace(/^cluster: demo$/m, 'cluster: atlantis'),
  )
  const loop = attachLoopDevice(project.file('foreign'))
  try {
    const flashed = await other.piimage('flash', '--node', `carter=${loop}`, '--yes')
    assert.equal(flashed.status, 0, flashed.stderr)
  } finally {
    detachLoopDevice(loop)
  }
  const before = sha256(readFileSync(project.file('foreign')))
  const out = async () => {
    reader.eject()
    await station.until('it is out', ({ slots }) => slots[0]?.card === null)
  }
  reader.insert('foreign')
  const stranger = await result()
  assert.ok(
    stranger.kind === 'left' && stranger.reason === 'it is the card of carter of another cluster, atlantis',
    JSON.stringify(stranger),
  )
  assert.match(stranger.hint ?? '', /If nothing on it is needed, choose hammond for it here/)
  await out()
  assert.equal(sha256(readFileSync(project.file('foreign'))), before)

  // Done, compared, and put in once more by mistake.
  reader.insert('done')
  assert.equal((await result()).kind, 'written')
  await out()
  reader.insert('done')
  await station.until('compared', ({ slots }) => slots[0]?.result?.kind === 'compared')
  await out()
  const made = sha256(readFileSync(project.file('done')))
  reader.insert('done')
  const known = await station.until('left', ({ slots }) =>
    slots[0]?.result?.kind === 'left' ? slots[0].result : undefined,
  )
  assert.match(known.reason, /^this is the card of hammond, which is done$/)
  assert.ok(known.hint)
  assert.equal((await order('hammond')).status, 409)
  await out()
  assert.equal(sha256(readFileSync(project.file('done'))), made)

  // Who looked at it and said so may have it.
  reader.insert('foreign')
  await result()
  assert.equal((await order('oneil')).status, 200)
  await station.until('written', ({ slots }) => slots[0]?.result?.kind === 'written')
  assert.deepEqual(Object.keys(journalOf(project).done), ['hammond', 'oneil'])
})

test('a drive above 256 GB wants its proof: no batch takes it, and no order without', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  const { station, reader, cardIn, result, order } = await armedStation(t, project)
  const size = 300 * 1024 ** 3
  makeSparseFile(project.file('large'), size)
  reader.insert('large')
  const { refusal, unproven } = await cardIn()
  assert.equal(refusal, null)
  assert.equal(unproven?.proof, String(size))
  assert.match(unproven.message, /has 322\.1 GB, more than cards usually have/)
  const left = await result()
  assert.ok(left.kind === 'left' && left.reason === unproven.message, JSON.stringify(left))
  assert.match(left.hint ?? '', /choose hammond for it here/)
  const refused = await order('oneil')
  assert.equal(refused.status, 409)
  assert.match(refused.text, /more than cards usually have.*\\"serial\\": \\"322122547200\\"/)
  assert.equal((await order('oneil', { serial: 'another' })).status, 200)
  const wrong = await station.until('failed', ({ slots }) =>
    slots[0]?.result?.kind === 'failed' ? slots[0].result : undefined,
  )
  assert.match(wrong.error.message, /has no serial, not another/)
  assert.equal(existsSync(project.file('.piimage-batch.json')), false)
  assert.equal((await order('oneil', { serial: unproven.proof })).status, 200)
  await station.until('written', ({ slots }) => slots[0]?.result?.kind === 'written')
})

test('the browser is closed in mid-batch: good cards get done, a bad one is red in the next browser', async (t) => {
  if (!needRoot(t)) return
  const good = await oddCard(t, DEMO_LAYOUT.length, { delayMs: 100 })
  const bad = await oddCard(t, DEMO_LAYOUT.length, { delayMs: 100, flipWriteAt: written })
  const browser = await openBrowser(t)
  if (good === undefined || bad === undefined || browser === undefined) return
  const project = demoProject(t)
  const readers = [good.path, bad.path]
  const station = await startStation(t, project, { readers })
  const first = (await openPage(browser, station.address())).page
  await first.getByRole('button', { name: 'Write …' }).nth(1).waitFor()
  await first.getByRole('button', { name: 'Start a batch …' }).click()
  const boxes = first.getByRole('dialog').getByRole('checkbox')
  for (const index of readers.keys()) await boxes.nth(index).check()
  await first.getByRole('button', { name: 'Start the batch' }).click()
  await station.until('both are at work', ({ slots }) => slots.every(({ work }) => work !== null))
  await first.context().close()
  await station.until('both ended', ({ slots }) => slots.every(({ work }) => work === null))

  const { page } = await openPage(browser, station.address())
  const slot = (path: string) => page.getByRole('article', { name: path, exact: true })
  await slot(good.path).getByText('Done: written and read back').waitFor()
  await slot(bad.path).getByText('differs from what was written').waitFor()
  assert.equal(await page.getByText('Done:').count(), 1)
  const name = await slot(good.path).locator('.done .name').innerText()
  assert.deepEqual(Object.keys(journalOf(project).done), [name])
})

/** A station as a process of its own. */
async function spawnStation(
  t: TestContext,
  project: Project,
  ...args: string[]
): Promise<{
  child: ChildProcess
  events: Record<string, unknown>[]
  get(path: string): Promise<string>
  order(name: string, given: object): Promise<void>
}> {
  const program = join(import.meta.dirname, '../../src/cli.js')
  const child = spawn(
    process.execPath,
    [program, 'station', ...args, '--json', '--cache', project.file('cache'), '--listen', '127.0.0.1:0'],
    {
      cwd: project.folder,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '8' },
    },
  )
  t.after(() => child.kill('SIGKILL'))
  const events: Record<string, unknown>[] = []
  const address = await new Promise<URL>((resolve, reject) => {
    child.once('exit', (status) => reject(new Error(`the station ended with ${status}`)))
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const event = JSON.parse(line)
      events.push(event)
      if (event.event === 'station') resolve(new URL(event.address))
    })
  })
  const port = Number(address.port)
  const entered = await askAt(port, { path: `${address.pathname}${address.search}` })
  const cookie = String(entered.headers['set-cookie']?.[0]?.split(';')[0])
  const headers = { cookie, origin: address.origin, 'content-type': 'application/json' }
  return {
    child,
    events,
    get: async (path) => (await askAt(port, { path, headers: { cookie } })).text,
    async order(name, given) {
      const body = JSON.stringify(given)
      const { status, text } = await askAt(port, { method: 'POST', path: `/api/${name}`, headers, body })
      assert.equal(status, 200, text)
    },
  }
}

test('killed in the middle of a batch, it goes on where the journal says', async (t) => {
  if (!needRoot(t)) return
  const quick = await oddCard(t, DEMO_LAYOUT.length, {})
  const slow = await oddCard(t, DEMO_LAYOUT.length, { delayMs: 300 })
  if (quick === undefined || slow === undefined) return
  const project = demoProject(t)
  const until = async (
    station: Awaited<ReturnType<typeof spawnStation>>,
    found: (table: TableView) => unknown,
  ) => {
    for (let tries = 0; tries < 3600; tries += 1) {
      if (found(JSON.parse(await station.get('/api/table')))) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.fail('it does not come to that')
  }
  const readers = [quick.path, slow.path]
  const ready = (table: TableView) => table.slots.filter(({ card }) => card !== null).length === 2
  const mediaOf = async (station: Awaited<ReturnType<typeof spawnStation>>) =>
    (JSON.parse(await station.get('/api/table')) as TableView).slots.map(({ card }) => card?.medium)
  const first = await spawnStation(t, project, ...readers)
  await until(first, ready)
  await first.order('arm', { armed: true, media: await mediaOf(first) })
  await until(first, ({ slots }) => slots.some(({ result }) => result?.kind === 'written'))
  await until(first, ({ slots }) => slots.some(({ work }) => work?.progress?.phase === 'write'))
  first.child.kill('SIGKILL')
  await new Promise((resolve) => first.child.once('exit', resolve))
  assert.deepEqual(Object.keys(journalOf(project).done), ['hammond'])
  const half = await project.piimage('inspect', slow.backing, '--check', '--node', 'oneil')
  assert.notEqual(half.status, 0, 'a card that was being written does not pass')

  const second = await spawnStation(t, project, ...readers)
  await until(second, ready)
  const table = JSON.parse(await second.get('/api/table')) as TableView
  assert.deepEqual(
    table.cluster.nodes.map(({ name, done }) => [name, done !== null]),
    [
      ['hammond', true],
      ['oneil', false],
      ['carter', false],
    ],
  )
  await second.order('arm', { armed: true, media: await mediaOf(second) })
  await until(second, ({ slots }) => slots.some(({ result }) => result?.kind === 'written'))
  assert.deepEqual(Object.keys(journalOf(project).done), ['hammond', 'oneil'])
  // Asked to stop, it ends by itself, as every command does.
  second.child.kill('SIGTERM')
  const status = await new Promise((resolve) => second.child.once('exit', resolve))
  assert.equal(status, 0)
  assert.equal(existsSync(project.file('..piimage-batch.json.lock')), false)
})
