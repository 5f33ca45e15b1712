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
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { test } from 'node:test'
import { MiB } from '../../src/units.ts'
import { figure } from '../support/figures.ts'
import { attachLoop } from '../support/loop.ts'
import { patternNumbers } from '../support/pattern.ts'
import { DEMO_LAYOUT, demoProject } from '../support/project.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { CARD_BYTES, type Place, type Scenario, scenarios } from './kill-scenarios.ts'
import { runVictim } from './victim.ts'

/** Runs that are left alone come after this many that are killed. */
const KILLS_PER_RUN = 8

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
