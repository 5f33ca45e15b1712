/** Cards that fail in every way a card can: no green, nothing in the journal, and each says what to do. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import type { ResultView, TableView } from '../../src/station/view.ts'
import { type Oddity, oddCard } from '../support/bad-card.ts'
import { DEMO_LAYOUT, demoProject, type Project } from '../support/project.ts'
import { journalOf } from '../support/readers.ts'
import { askAt, startStation } from '../support/station.ts'
import { needRoot } from '../support/tools.ts'

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
