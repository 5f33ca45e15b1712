/**
 * SIGKILL, again and again, at every command that writes: at moments drawn
 * over its whole run, and in the middle of the system calls that matter
 * (strace). Whatever is left then: every file under its final name is whole,
 * no card is bootable that was not verified, and the next run makes all of it
 * right and leaves nothing of the dead ones.
 *
 * The draws are the same in every run; where a drawn moment comes too late, an
 * earlier one is taken, so that the number of kills is always the same.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '../../src/units.ts'
import { figure } from '../support/figures.ts'
import { attachLoop } from '../support/loop.ts'
import { patternNumbers } from '../support/pattern.ts'
import { DEMO_IMAGE, DEMO_LAYOUT, demoProject } from '../support/project.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { runVictim } from './victim.ts'

/** A folder to work in, with what the scenario attached. */
interface Place {
  folder: string
  file(name: string): string
  /** Loop devices of files in the folder, by file name. */
  loops: Map<string, string>
  piimage(...words: string[]): Promise<void>
}

interface Scenario {
  name: string
  kills: number
  /** Names of files to be attached as drives. */
  drives?: readonly string[]
  /** Once. */
  prepare?(place: Place, t: TestContext): Promise<void>
  /** Before every run: back to where it starts from. */
  reset(place: Place): void | Promise<void>
  words(place: Place): string[]
  /** Files it makes or replaces. Each is as before, absent, or as a run that was left alone makes it. */
  files?: readonly string[]
  /** Of these, what was there before is never absent. */
  keeps?: readonly string[]
  /** Cards and images it changes in place. As before, as after, or without a start. */
  cards?: readonly string[]
  /** How many bytes at a card's start are empty where it is neither. */
  emptyBytes?: number
}

const CARD_BYTES = DEMO_LAYOUT.length + MiB
/** Runs that are left alone come after this many that are killed. */
const KILLS_PER_RUN = 8

/** An earlier life that boots. */
function oldCard(place: Place, ...names: string[]): void {
  const bytes = Buffer.alloc(CARD_BYTES, 0xa5)
  bytes.writeUInt16LE(0xaa55, 510)
  for (const name of names) writeFileSync(place.file(name), bytes, { flag: 'r+' })
}

/** Everything in it but the image, which is made again. */
const emptyCache = (place: Place) => {
  for (const name of ['downloads', 'images'])
    for (const file of readdirSync(place.file(`cache/${name}`)))
      if (!file.endsWith('.part') && !file.endsWith('.part.json')) rmSync(place.file(`cache/${name}/${file}`))
}

const download = (place: Place): string => {
  const lock = JSON.parse(readFileSync(place.file('images.lock.json'), 'utf8'))
  return lock.images[DEMO_IMAGE].download.sha256
}

const scenarios: Scenario[] = [
  {
    name: 'images fetch, from a slow server',
    kills: 36,
    prepare: serveImage,
    reset: emptyCache,
    words: () => ['images', 'fetch', DEMO_IMAGE],
    files: ['cache/downloads/*', 'cache/images/*', 'cache/CACHEDIR.TAG'],
  },
  {
    name: 'images prune --all',
    kills: 20,
    prepare: async (place, t) => {
      await serveImage(place, t)
      await place.piimage('images', 'fetch', DEMO_IMAGE)
      run('cp', ['-r', '--sparse=always', place.file('cache'), place.file('kept')])
    },
    reset(place) {
      const id = download(place)
      for (const name of [`downloads/${id}`, `images/${id}.img`, `images/${id}.json`])
        run('cp', ['--sparse=always', place.file(`kept/${name}`), place.file(`cache/${name}`)])
      writeFileSync(place.file(`cache/downloads/${'ab'.repeat(32)}.part`), 'torn')
    },
    words: () => ['images', 'prune', '--all'],
    files: ['cache/downloads/*', 'cache/images/*'],
  },
  {
    name: 'flash to a new file, with unpacking',
    kills: 16,
    reset(place) {
      emptyCache(place)
      rmSync(place.file('oneil.img'), { force: true })
    },
    words: () => ['flash', '--node', 'oneil=oneil.img', '--yes'],
    files: ['oneil.img', 'cache/images/*'],
  },
  {
    name: 'flash in place of another file',
    kills: 14,
    prepare: (place) => place.piimage('flash', '--node', 'carter=carter.img'),
    reset: (place) => copyFileSync(place.file('carter.img'), place.file('oneil.img')),
    words: () => ['flash', '--node', 'oneil=oneil.img', '--yes'],
    files: ['oneil.img'],
    keeps: ['oneil.img'],
  },
  {
    name: 'flash to a card',
    kills: 30,
    drives: ['card'],
    reset: (place) => oldCard(place, 'card'),
    words: ({ loops }) => ['flash', '--node', `oneil=${loops.get('card')}`, '--yes'],
    cards: ['card'],
    emptyBytes: 4096,
  },
  {
    name: 'flash --probe to a card',
    kills: 8,
    drives: ['card'],
    reset: (place) => oldCard(place, 'card'),
    words: ({ loops }) => ['flash', '--node', `oneil=${loops.get('card')}`, '--yes', '--probe', '--full'],
    cards: ['card'],
    emptyBytes: 4096,
  },
  {
    name: 'flash to three cards, with more threads',
    kills: 14,
    drives: ['hammond', 'oneil', 'carter'],
    reset: (place) => oldCard(place, 'hammond', 'oneil', 'carter'),
    words: ({ loops }) => [
      'flash',
      ...['hammond', 'oneil', 'carter'].flatMap((node) => ['--node', `${node}=${loops.get(node)}`]),
      '--yes',
    ],
    cards: ['hammond', 'oneil', 'carter'],
    emptyBytes: 4096,
  },
  {
    name: 'flash --changed-only',
    kills: 14,
    drives: ['card'],
    prepare: makeBoth,
    reset: (place) => putOnCard(place, 'carter.img'),
    words: ({ loops }) => ['flash', '--node', `oneil=${loops.get('card')}`, '--yes', '--changed-only'],
    cards: ['card'],
    emptyBytes: 4096,
  },
  {
    name: 'customise a card',
    kills: 14,
    drives: ['card'],
    prepare: makeBoth,
    reset: (place) => putOnCard(place, 'carter.img'),
    words: ({ loops }) => ['customise', loops.get('card') ?? '', '--node', 'oneil', '--yes'],
    cards: ['card'],
    emptyBytes: 512,
  },
  {
    name: 'customise an image file',
    kills: 10,
    prepare: (place) => place.piimage('flash', '--node', 'carter=carter.img'),
    reset: (place) => copyFileSync(place.file('carter.img'), place.file('some.img')),
    words: () => ['customise', 'some.img', '--node', 'oneil', '--yes'],
    cards: ['some.img'],
    emptyBytes: 512,
  },
  {
    name: 'bake',
    kills: 14,
    prepare: async (place) => {
      await place.piimage('bake', '--node', 'oneil', '-o', 'kept')
      writeFileSync(place.file('kept/oneil.img'), 'an older image')
    },
    reset(place) {
      for (const name of ['oneil.img', 'oneil.img.sha256', 'oneil.bmap', 'os_list.json'])
        copyFileSync(place.file(`kept/${name}`), place.file(`out/${name}`))
    },
    words: () => ['bake', '--node', 'oneil', '-o', 'out', '--yes'],
    files: ['out/*'],
    keeps: ['out/oneil.img', 'out/os_list.json'],
  },
  {
    name: 'bake --format xz',
    kills: 10,
    reset(place) {
      for (const name of readdirSync(place.file('out')))
        if (!name.endsWith('.part')) rmSync(place.file(`out/${name}`))
    },
    words: () => ['bake', '--node', 'oneil', '-o', 'out', '--format', 'xz', '--level', '0'],
    files: ['out/*'],
  },
]

/** The demo image behind HTTP, in small pieces. */
async function serveImage(place: Place, t: TestContext): Promise<void> {
  const bytes = readFileSync(place.file('demo.img.xz'))
  const server = createServer(async (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': bytes.length - from,
      etag: '"one"',
      ...(from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    })
    for (let at = from; at < bytes.length && !response.destroyed; at += 1000) {
      response.write(bytes.subarray(at, at + 1000))
      await sleep(5)
    }
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const lock = JSON.parse(readFileSync(place.file('images.lock.json'), 'utf8'))
  lock.images[DEMO_IMAGE].url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/demo.img.xz`
  writeFileSync(place.file('images.lock.json'), JSON.stringify(lock))
}

async function makeBoth(place: Place): Promise<void> {
  await place.piimage('flash', '--node', 'carter=carter.img')
}

function putOnCard(place: Place, image: string): void {
  writeFileSync(place.file('card'), readFileSync(place.file(image)), { flag: 'r+' })
}

/** File names with a star in them, resolved; parts are nobody's files. */
const expand = (place: Place, names: readonly string[]): string[] =>
  names.flatMap((name) => {
    if (!name.endsWith('/*')) return [name]
    const folder = name.slice(0, -2)
    return readdirSync(place.file(folder))
      .filter((file) => !isLeftover(file))
      .map((file) => `${folder}/${file}`)
  })

const isLeftover = (name: string): boolean => /\.part(\.json)?$|^\..*\.lock$/.test(name)

/** Of a card, what the image covers: behind it are marks of probes, other ones each time. */
const digestOf = (path: string): string =>
  createHash('sha256').update(readFileSync(path).subarray(0, DEMO_LAYOUT.length)).digest('hex')

/** Digests by file name; what is absent is not in it. */
function digestAll(place: Place, scenario: Scenario): Map<string, string> {
  const names = [...expand(place, scenario.files ?? []), ...(scenario.cards ?? [])]
  return new Map(
    names
      .filter((name) => statSync(place.file(name), { throwIfNoEntry: false }) !== undefined)
      .map((name) => [name, digestOf(place.file(name))]),
  )
}

function assertSound(
  place: Place,
  scenario: Scenario,
  before: Map<string, string>,
  after: Map<string, string>,
  moment: string,
): void {
  const now = digestAll(place, scenario)
  for (const [name, digest] of now) {
    if (digest === before.get(name) || digest === after.get(name)) continue
    const isCard = scenario.cards?.includes(name) === true
    if (isCard && isEmptyAtStart(place.file(name), scenario.emptyBytes ?? MiB)) continue
    assert.fail(`${name} is neither as before nor whole, after ${moment}`)
  }
  for (const name of scenario.keeps ?? []) assert.ok(now.has(name), `${name} is gone after ${moment}`)
}

function isEmptyAtStart(path: string, length: number): boolean {
  const fd = openSync(path, 'r')
  const start = Buffer.alloc(length)
  readSync(fd, start, 0, length, 0)
  closeSync(fd)
  return start.every((byte) => byte === 0)
}

/** Nothing of the dead ones, anywhere. */
function assertNothingLeft(place: Place): void {
  const left = readdirSync(place.folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => isLeftover(name.replace(/^.*\//, '')) || name.startsWith('cache/locks/'),
  )
  assert.deepEqual(left, [])
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(place.folder), 'a mount is left')
  const loops = run('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE']).stdout.split('\n')
  const ours = loops.filter((line) => line.includes(place.folder))
  assert.equal(ours.length, place.loops.size, ours.join('\n'))
}

/** System calls after which the world is another one, and how often a run may make each. */
const CALLS: readonly [string, number][] = [
  ['rename', 3],
  ['fsync', 5],
  ['unlink', 4],
  ['pwrite64', 8],
  ['link', 1],
  ['ftruncate', 2],
  ['write', 60],
  ['openat', 250],
]

for (const scenario of scenarios) {
  test(`${scenario.kills} kills: ${scenario.name}`, async (t) => {
    if (scenario.drives !== undefined && !needRoot(t)) return
    if (needTool(t, 'strace', 'strace') === undefined) return
    const project = demoProject(t)
    const place: Place = {
      folder: project.folder,
      file: project.file,
      loops: new Map(),
      async piimage(...words) {
        const { status, said } = await runVictim([...words, '--cache', 'cache'], { cwd: place.folder })
        assert.equal(status, 0, said)
      },
    }
    mkdirSync(place.file('out'))
    for (const folder of ['downloads', 'images']) mkdirSync(place.file(`cache/${folder}`))
    for (const name of scenario.drives ?? []) {
      writeFileSync(place.file(name), Buffer.alloc(CARD_BYTES))
      place.loops.set(name, attachLoop(t, place.file(name)))
    }
    await scenario.prepare?.(place, t)

    const words = [...scenario.words(place), '--cache', 'cache']
    await scenario.reset(place)
    const before = digestAll(place, scenario)
    const first = await runVictim(words, { cwd: place.folder })
    assert.equal(first.status, 0, first.said)
    const after = digestAll(place, scenario)
    assertNothingLeft(place)

    const draws = patternNumbers(scenario.name, 4 * scenario.kills * 3, 1_000_000)
    const draw = (below: number): number => Math.floor(((draws.shift() ?? 0) / 1_000_000) * below)
    // Kills come less late after each that came too late.
    let span = first.ms
    for (let kills = 0, sinceRun = 0, late = 0; kills < scenario.kills; ) {
      assert.ok(late < 4 * scenario.kills, 'kills come in time')
      if (sinceRun === 0) await scenario.reset(place)
      const [call, most] = CALLS[draw(CALLS.length)] as [string, number]
      const byCall = kills % 2 === 1 && late % 2 === 0
      const moment = byCall ? { killAt: { call, when: 1 + draw(most) } } : { killAfterMs: draw(span) }
      const death = await runVictim(words, { cwd: place.folder, ...moment })
      if (death.killed) {
        kills += 1
        sinceRun += 1
      } else {
        // The moment came too late, and the run is one that was left alone.
        late += 1
        if (!byCall) span = Math.min(span * 0.95, death.ms)
        assert.equal(death.status, 0, death.said)
        sinceRun = 0
      }
      assertSound(place, scenario, before, after, JSON.stringify(moment))
      const isLast = kills === scenario.kills
      if (!isLast && sinceRun < KILLS_PER_RUN) {
        // A card goes back; what the dead left in folders stays for the next.
        await scenario.reset(place)
        continue
      }
      sinceRun = 0
      await scenario.reset(place)
      const next = await runVictim(words, { cwd: place.folder })
      assert.equal(next.status, 0, next.said)
      assert.deepEqual(digestAll(place, scenario), after)
      assertNothingLeft(place)
    }
    figure(t, 'kills', scenario.kills)
  })
}
