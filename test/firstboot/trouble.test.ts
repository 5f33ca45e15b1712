/**
 * Every step of the first boot against everything that goes wrong on the way:
 * one table, in which a cell either has cases or says why it has none.
 *
 * After any trouble the node says what is wrong in one sentence, no file is
 * there by halves, and once the trouble is gone the next attempt ends where an
 * untroubled one does. See ./rig.ts for what is real here, ./scenes.ts for what
 * each step finds.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { run } from '../support/tools.ts'
import { type Archive, openArchive } from './archive.ts'
import { type ShellName, shells } from './fake-pi.ts'
import { type FileState, Rig } from './rig.ts'
import { layScene, type Scene, scenesOf } from './scenes.ts'
import { type Case, columns, table } from './trouble-table.ts'

const chores: (() => void)[] = []
after(() => {
  for (const chore of chores) chore()
})
let archive: Archive
let scenes: Record<string, Record<string, Scene>>
before(async () => {
  if (process.getuid?.() !== 0 || run('gpg', ['--version']).status !== 0) return
  archive = await openArchive(
    (chore) => chores.push(chore),
    'bookworm',
    run('dpkg', ['--print-architecture']).stdout.trim(),
  )
  scenes = scenesOf(archive)
})

// Each way through a step in the next shell.
let turn = 0
const nextShell = (): ShellName => shells[turn++ % shells.length] ?? 'dash'

async function openScene(t: TestContext, step: string, way?: string, shell = nextShell()) {
  const rig = await Rig.open(t, shell)
  if (rig === undefined) return undefined
  const name = way ?? Object.keys(scenes[step] ?? {})[0] ?? ''
  const scene = scenes[step]?.[name]
  assert.ok(scene, `${step} has no scene ${name}`)
  layScene(rig, step, scene)
  return { rig, scene, name: `${step}, ${name}, ${shell}` }
}
const waysOf = (step: string): string[] => Object.keys(scenes?.[step] ?? { plain: true })

const contents = (tree: Map<string, FileState>): Map<string, string> =>
  new Map(
    [...tree].map(([path, { what }]) => [path, what.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')]),
  )

const ends = new Map<string, Map<string, string>>()
/** What an untroubled run leaves behind. The disk is as before afterwards. */
async function cleanEnd(rig: Rig, name: string): Promise<Map<string, string>> {
  const known = name.replace(/, \w+$/, '')
  const ready = ends.get(known)
  if (ready !== undefined) return ready
  const ran = await rig.boot()
  assert.equal(ran.status, 0, `${name}: ${ran.output}`)
  assert.equal(rig.status().state, 'done', name)
  const end = contents(rig.tree())
  ends.set(known, end)
  rig.reset()
  return end
}

/** Files that a step changes more than once on its way. */
const between =
  /^(etc\/(passwd|group|shadow|gshadow|subuid|subgid)|home|var\/lib\/(lab|piimage\/(kubeadm\.\w+|swarm-waited|user-in-the-making))|etc\/kubernetes|etc\/piimage\/kubeadm\.yaml)/
const temporary = /(^|\/)\.[^/]+\.piimage-new$/

/** Every file is as it was, or as it will be; accounts may stand between, but whole. */
function assertNothingHalf(
  now: Map<string, string>,
  was: Map<string, string>,
  end: Map<string, string>,
  name: string,
) {
  for (const path of new Set([...now.keys(), ...was.keys()])) {
    const what = now.get(path)
    if (temporary.test(path) || between.test(path) || what?.startsWith('folder')) continue
    assert.ok(what === was.get(path) || what === end.get(path), `${name}: ${path} is ${what}`)
  }
  for (const [path, fields] of [
    ['etc/passwd', 7],
    ['etc/group', 4],
    ['etc/shadow', 9],
  ] as const)
    for (const line of now
      .get(path)
      ?.replace(/^file \S+ \S+ /, '')
      .trimEnd()
      .split('\n') ?? [])
      assert.equal(line.split(':').length, fields, `${name}: ${path} holds ${line}`)
}

function assertSameEnd(now: Map<string, string>, end: Map<string, string>, name: string) {
  for (const path of new Set([...now.keys(), ...end.keys()]))
    assert.equal(now.get(path), end.get(path), `${name}: ${path}`)
}

async function assertEndsWell(rig: Rig, end: Map<string, string>, name: string) {
  const ran = await rig.boot()
  assert.equal(rig.status().state, 'done', `${name}: ${ran.output}`)
  assertSameEnd(contents(rig.tree()), end, name)
}

/** What is asked and changes nothing. */
const question =
  /^(docker (info|version|node (ls|inspect)|secret inspect|swarm init --help)|systemctl (-q )?is-active|dpkg --(print-architecture|force-confold)|sleep|sync|df|timedatectl|ip|kubeadm version|apt-mark showhold|containerd config default|locale)\b/

async function runTwice(t: TestContext, step: string, way: string) {
  const made = await openScene(t, step, way)
  if (made === undefined) return
  const { rig, scene, name } = made
  const first = await rig.boot()
  assert.equal(rig.status().state, 'done', `${name}: ${first.output}`)
  const tree = rig.tree()
  rig.takeCalls()
  rig.forget()
  const second = await rig.boot()
  assert.equal(rig.status().state, 'done', `${name}: ${second.output}`)
  assert.match(second.output, new RegExp(`oneil: 50-${step} running`), 'it did run again')
  for (const [path, { what, mtimeNs }] of rig.tree()) {
    assert.equal(what, tree.get(path)?.what, `${name}: ${path}`)
    assert.equal(mtimeNs, tree.get(path)?.mtimeNs, `${name}: ${path} was written again`)
  }
  assert.deepEqual([...tree.keys()], [...rig.tree().keys()], name)
  const allowed = scene.again ?? []
  const did = rig
    .takeCalls()
    .filter((call) => !question.test(call) && !allowed.some(({ call: again }) => again.test(call)))
  assert.deepEqual(did, [], name)
}

/** From no free page on, until there is room enough. */
async function fillDisk(t: TestContext, step: string, way: string) {
  const made = await openScene(t, step, way)
  if (made === undefined) return
  const { rig, name } = made
  const end = await cleanEnd(rig, name)
  const was = contents(rig.tree())
  let failures = 0
  for (const pages of [0, 1, 2, 4, 8, 16, 64, 512, 1024, 2048, 4096]) {
    assert.ok(pages < 4096, `${name} never has room enough`)
    rig.reset()
    rig.fill(pages * 4096)
    const ran = await rig.boot()
    const { state, detail } = rig.status()
    const place = `${name}, ${pages} pages free`
    if (state === 'done') {
      assertSameEnd(contents(rig.tree()), end, place)
      break
    }
    failures++
    assert.equal(state, 'retrying', `${place}: ${ran.output}`)
    assert.match(
      detail,
      /could not be written: \d+ MB|no space left|No space left|MB are free|could not be cleared/,
      `${place}: ${ran.output}`,
    )
    assertNothingHalf(contents(rig.tree()), was, end, place)
    rig.empty()
    await assertEndsWell(rig, end, place)
  }
  assert.ok(failures > 0, `${name} was never short of room`)
}

const changing = ['cp', 'mv', 'rm', 'mkdir', 'chmod', 'chown', 'dd', 'ln', 'cat']

/** Some of the calls that change files; all with PIIMAGE_EVERY_CUT=1. */
async function cutPower(t: TestContext, step: string, way: string) {
  const made = await openScene(t, step, way, 'dash')
  if (made === undefined) return
  const { rig, name } = made
  const end = await cleanEnd(rig, name)
  for (const program of changing)
    rig.program(
      program,
      `printf x >>/run/rig/count; n=$(wc -c </run/rig/count); cut=0; { read -r cut </run/rig/cut; } 2>/dev/null
[ "$cut" -le 0 ] || [ "$n" -lt "$cut" ] || kill -9 -1
/bin/${program} "$@"; status=$?
[ "$cut" -ge 0 ] || [ "$n" -lt $((-cut)) ] || kill -9 -1
exit $status`,
    )
  rig.keep()
  await rig.boot()
  const points = rig.readFact('count')?.length ?? 0
  assert.ok(points > 10, `${name}: ${points}`)
  const stride = process.env.PIIMAGE_EVERY_CUT === '1' ? 1 : Math.max(1, Math.floor(points / 3))
  let cuts = 0
  for (let point = stride; point < points; point += stride) {
    const place = `${name}, power cut at ${point} of ${points}`
    rig.reset()
    rig.fact('cut', String(cuts % 2 === 0 ? point : -point))
    const cut = await rig.boot()
    // A run that waits for something may make a few calls less than the whole one did.
    if (cut.status === 0 && point > points - 30) break
    assert.notEqual(cut.status, 0, place)
    cuts++
    rig.fact('cut', undefined)
    await assertEndsWell(rig, end, place)
  }
  assert.ok(cuts > 0, name)
}

async function meetTrouble(t: TestContext, step: string, one: Case) {
  const made = await openScene(t, step, one.way)
  if (made === undefined) return
  const { rig, name } = made
  const end = await cleanEnd(rig, name)
  rig.lay(one.files ?? {})
  for (const [what, value] of Object.entries(one.facts ?? {})) rig.fact(what, value)
  const was = contents(rig.tree())
  await archive.be(one.mood ?? 'good')
  try {
    const ran = await rig.boot({ network: one.network ?? true, beside: one.beside ?? '' })
    const { state, detail } = rig.status()
    assert.equal(state, one.state, `${name}: ${ran.output}`)
    assert.match(state === 'done' ? ran.output : detail, one.says, name)
    assert.ok(!detail.includes('\n') && detail.length < 300, detail)
    if (state !== 'done') assert.ok(rig.log() !== '', 'a laptop can read why')
    assertNothingHalf(contents(rig.tree()), was, end, name)
  } finally {
    await archive.be('good')
  }
  one.cure?.(rig)
  const withExtras = new Map([
    ...end,
    ...[...was].filter(([path]) =>
      Object.keys(one.files ?? {}).some((file) => `${file}/`.startsWith(`${path}/`)),
    ),
  ])
  await assertEndsWell(rig, withExtras, name)
}

for (const [step, cells] of Object.entries(table))
  for (const column of columns) {
    const cell = cells[column]
    if (typeof cell === 'object' && 'never' in cell) continue
    test(`${step}: ${column}`, async (t) => {
      if (cell === 'every way') {
        const check = { 'run twice': runTwice, 'disk full': fillDisk, 'power cut': cutPower }[
          column as 'run twice'
        ]
        for (const way of waysOf(step)) await check(t, step, way)
      } else for (const one of cell) await meetTrouble(t, step, one)
    })
  }

test('the table has every step and every trouble, and each empty cell says why', () => {
  const steps = readdirSync(join(packageRoot(), 'firstboot/steps')).map((name) => name.replace('.sh', ''))
  assert.deepEqual(Object.keys(table).sort(), steps.sort())
  const cells = Object.values(table).flatMap((row) => columns.map((column) => row[column]))
  assert.ok(cells.every((cell) => cell !== undefined))
  const empty = cells.filter((cell) => typeof cell === 'object' && 'never' in cell)
  assert.deepEqual([cells.length, empty.length], [135, 66])
})

test('docker: the power goes while a package is being configured', async (t) => {
  const made = await openScene(t, 'docker', 'archive', 'dash')
  if (made === undefined) return
  const { rig, name } = made
  const end = await cleanEnd(rig, name)
  rig.fact('cut-here', 'yes')
  assert.notEqual((await rig.boot()).status, 0)
  await assertEndsWell(rig, end, name)
})

test('docker and k3s: too little room is seen before anything is fetched', async (t) => {
  for (const [step, way] of [
    ['docker', 'archive'],
    ['k3s', 'head'],
  ] as const) {
    const made = await openScene(t, step, way)
    if (made === undefined) return
    made.rig.program('df', 'exec /bin/df "$@"')
    await made.rig.boot()
    assert.match(made.rig.status().detail, /needs \d00 MB, and \d+ MB are free on \/var/)
  }
})
