/**
 * Two piimages at once at the same thing: one works, the other waits and says
 * for whom, or is refused with a sentence. Neither does harm, and nothing that
 * either did is lost. The first one is halted (SIGSTOP) in the middle while the
 * second comes, so that no row depends on who is quicker.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseClusterKey } from '../../src/secrets/cluster-key.ts'
import { serve } from '../fetch/support.ts'
import { attachLoop } from '../support/loop.ts'
import { DEMO_IMAGE, DEMO_LAYOUT, demoProject, type Project } from '../support/project.ts'
import { needRoot } from '../support/tools.ts'
import { runVictim, startVictim } from './victim.ts'

interface Pair {
  name: string
  /** A card with carter on it lies in the reader. */
  card?: true
  first: string[]
  /** The second comes when the first has said this. */
  at: RegExp
  second: string[]
  /** Of the second: refused, or done after it waited or beside the first. */
  status: number
  says: RegExp
  /** After both have ended. `drive`: of the card. */
  check(project: Project, drive: string): void | Promise<void>
  prepare?(project: Project, t: TestContext): Promise<void>
}

const isWhole = (node: string) => async (project: Project, path: string) => {
  const said = await project.piimage('inspect', path, '--check', '--node', node)
  assert.equal(said.status, 0, said.stderr)
}

const fetched = (project: Project) => {
  assert.deepEqual(readdirSync(project.file('cache/locks')), [])
  assert.equal(readdirSync(project.file('cache/images')).length, 2)
}

const listed = (project: Project, ...names: string[]) => {
  const list = JSON.parse(readFileSync(project.file('out/os_list.json'), 'utf8'))
  assert.equal(list.os_list.length, names.length)
  for (const name of names) {
    const [digest] = readFileSync(project.file(`out/${name}.sha256`), 'utf8').split(' ')
    assert.ok(JSON.stringify(list).includes(digest ?? 'none'), name)
  }
}

const inUse = /is in use: another program has it open or mounted it/
const flashDrive = ['flash', '--node', 'oneil=DRIVE', '--yes']

const pairs: Pair[] = [
  ...[
    { name: 'flash', second: ['flash', '--node', 'hammond=DRIVE', '--yes'] },
    { name: 'flash --changed-only', second: ['flash', '--node', 'hammond=DRIVE', '--yes', '--changed-only'] },
    { name: 'customise', second: ['customise', 'DRIVE', '--node', 'hammond', '--yes'] },
  ].map(
    ({ name, second }): Pair => ({
      name: `flash and ${name}, the same drive`,
      card: true,
      first: flashDrive,
      at: /"phase":"(write|verify)"/,
      second,
      status: 5,
      says: inUse,
      check: isWhole('oneil'),
    }),
  ),
  {
    name: 'customise and flash, the same drive',
    card: true,
    first: ['customise', 'DRIVE', '--node', 'oneil', '--yes'],
    at: /"event":"planned"/,
    second: ['flash', '--node', 'hammond=DRIVE', '--yes'],
    status: 5,
    says: inUse,
    check: isWhole('oneil'),
  },
  {
    name: 'customise and customise, the same drive',
    card: true,
    first: ['customise', 'DRIVE', '--node', 'oneil', '--yes'],
    at: /"event":"planned"/,
    second: ['customise', 'DRIVE', '--node', 'hammond', '--yes'],
    status: 5,
    says: inUse,
    check: isWhole('oneil'),
  },
  {
    name: 'flash and flash, the same file',
    prepare: async (project) => {
      assert.equal((await project.piimage('images', 'fetch', DEMO_IMAGE)).status, 0)
    },
    first: ['flash', '--node', 'oneil=some.img'],
    at: /"phase":"write"/,
    second: ['flash', '--node', 'carter=some.img'],
    status: 5,
    says: /some\.img is being written by another piimage \(process \d+\)/,
    check: (project) => isWhole('oneil')(project, project.file('some.img')),
  },
  {
    name: 'customise and customise, the same image file',
    prepare: async (project) => {
      assert.equal((await project.piimage('flash', '--node', 'carter=some.img')).status, 0)
    },
    first: ['customise', 'some.img', '--node', 'oneil'],
    at: /"event":"planned"/,
    second: ['customise', 'some.img', '--node', 'hammond'],
    status: 2,
    says: /another piimage \(process \d+\) is changing some\.img/,
    check: (project) => isWhole('oneil')(project, project.file('some.img')),
  },
  {
    name: 'fetch and fetch, the same image',
    first: ['images', 'fetch', DEMO_IMAGE],
    at: /"phase":"unpack"/,
    second: ['images', 'fetch', DEMO_IMAGE],
    status: 0,
    says: /waiting for process \d+, which works on demo/,
    check: fetched,
  },
  {
    name: 'flash and flash of two nodes, the same image to be unpacked',
    first: ['flash', '--node', 'oneil=oneil.img'],
    at: /"phase":"unpack"/,
    second: ['flash', '--node', 'carter=carter.img'],
    status: 0,
    says: /waiting for process \d+, which works on demo/,
    check: async (project) => {
      for (const node of ['oneil', 'carter']) await isWhole(node)(project, project.file(`${node}.img`))
    },
  },
  {
    name: 'fetch and prune, the same image',
    first: ['images', 'fetch', DEMO_IMAGE],
    at: /"phase":"unpack"/,
    second: ['images', 'prune', '--all'],
    status: 0,
    says: /is in use by another process, left alone/,
    check: fetched,
  },
  {
    name: 'bake and bake, the same file',
    first: ['bake', '--node', 'oneil', '-o', 'out', '--format', 'xz'],
    at: /"phase":"compress"/,
    second: ['bake', '--node', 'oneil', '-o', 'out', '--format', 'xz'],
    status: 2,
    says: /oneil\.img\.xz is being made by another piimage \(process \d+\)/,
    check: (project) => listed(project, 'oneil.img.xz'),
  },
  {
    name: 'bake and bake of two nodes, the same list of images',
    first: ['bake', '--node', 'oneil', '-o', 'out', '--format', 'xz'],
    at: /"phase":"compress"/,
    second: ['bake', '--node', 'carter', '-o', 'out', '--format', 'xz'],
    status: 0,
    says: /os_list\.json/,
    check: (project) => listed(project, 'oneil.img.xz', 'carter.img.xz'),
  },
  {
    name: 'flash --all and flash --all, the same cluster',
    card: true,
    first: ['flash', '--all', '--node', 'oneil', '--yes', 'DRIVE'],
    at: /"phase":"(write|verify)"/,
    second: ['flash', '--all', '--yes', 'reader'],
    status: 2,
    says: /another piimage \(process \d+\) writes the cards of demo/,
    check: (project, drive) => {
      const journal = JSON.parse(readFileSync(project.file('.piimage-batch.json'), 'utf8'))
      assert.deepEqual(Object.keys(journal.done), ['oneil'])
      return isWhole('oneil')(project, drive)
    },
  },
  {
    name: 'images lock and images lock, the same lock file',
    prepare: async (project, t) => {
      const bytes = readFileSync(project.file('demo.img.xz'))
      const server = await serve(t, (_, response) => {
        response.writeHead(200, { 'content-length': bytes.length, etag: '"one"' }).end(bytes)
      })
      for (const name of ['FIRST', 'SECOND']) places.set(name, `${server.origin}/${name}.img.xz`)
    },
    first: ['images', 'lock', 'FIRST', '--key', 'first-trixie-arm64-lite@1', '--trust-first-use'],
    at: /"phase":"download"/,
    second: ['images', 'lock', 'SECOND', '--key', 'second-trixie-arm64-lite@1', '--trust-first-use'],
    status: 0,
    says: /"change":"added"/,
    check: (project) => {
      const { images } = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8'))
      assert.deepEqual(Object.keys(images).sort(), [
        DEMO_IMAGE,
        'first-trixie-arm64-lite@1',
        'second-trixie-arm64-lite@1',
      ])
    },
  },
]

/** proc_pid_stat(5): `T` is halted. */
const stateOf = ({ pid }: ChildProcess): string | undefined =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .at(0)

/** What words in capitals stand for. */
const places = new Map<string, string>()

for (const { name, card, first, at, second, status, says, check, prepare } of pairs) {
  test(`at once: ${name}: the second ends with ${status}`, async (t) => {
    if (card === true && !needRoot(t)) return
    const project = demoProject(t)
    await prepare?.(project, t)
    let drive = ''
    if (card === true) {
      const made = await project.piimage('flash', '--node', 'carter=carter.img')
      assert.equal(made.status, 0, made.stderr)
      writeFileSync(project.file('card'), readFileSync(project.file('carter.img')))
      assert.equal(readFileSync(project.file('card')).length, DEMO_LAYOUT.length)
      drive = attachLoop(t, project.file('card'))
      places.set('DRIVE', drive)
    }
    const fill = (words: string[]) =>
      [...words, '--json', '--cache', 'cache'].map((word) =>
        word.replace(/DRIVE|FIRST|SECOND/, (place) => places.get(place) ?? place),
      )
    const one = startVictim(fill(first), {
      cwd: project.folder,
      // One process, which can be halted: with many cards it would start another (src/thread-pool.ts).
      env: { UV_THREADPOOL_SIZE: '8' },
      haltAt: at,
    })
    do {
      await sleep(10)
      assert.equal(one.process.exitCode, null, `it ended before: ${one.said()}`)
    } while (stateOf(one.process) !== 'T')
    const goOn = () => one.process.kill('SIGCONT')
    try {
      const other = await runVictim(fill(second), {
        cwd: project.folder,
        onText: (_, { said }) => void (/waiting for process/.test(said()) && goOn()),
      })
      assert.equal(other.status, status, other.said)
      assert.match(other.said, says)
      assert.doesNotMatch(other.said, /bug in piimage/)
    } finally {
      goOn()
    }
    const death = await one.ended
    assert.equal(death.status, 0, death.said)
    await check(project, drive)
    const left = readdirSync(project.folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /(^|\/)\.[^/]*\.lock$|\.part$/.test(file),
    )
    assert.deepEqual(left, [])
  })
}

const bakeOneil = ['bake', '--node', 'oneil', '-o', 'out', '--format', 'img', '--yes', '--cache', 'cache']

test('at once: three bakes, the same file, started together: one or more make it, none spoils it', async (t) => {
  const project = demoProject(t)
  assert.equal((await project.piimage('images', 'fetch', DEMO_IMAGE)).status, 0)
  for (let round = 0; round < 3; round += 1) {
    const three = await Promise.all([1, 2, 3].map(() => runVictim(bakeOneil, { cwd: project.folder })))
    const refused = three.filter(({ status }) => status !== 0)
    assert.ok(refused.length < 3, refused.map(({ said }) => said).join('\n'))
    for (const { status, said } of refused) {
      assert.equal(status, 2, said)
      assert.match(said, /oneil\.img is being made by another piimage \(process \d+\)/)
    }
    listed(project, 'oneil.img')
    await isWhole('oneil')(project, project.file('out/oneil.img'))
    assert.deepEqual(readdirSync(project.file('out')).sort(), [
      'oneil.bmap',
      'oneil.img',
      'oneil.img.sha256',
      'os_list.json',
    ])
  }
})

test('at once: init and init, the same folder: one key, whole, and no file of two minds', async (t) => {
  const project = demoProject(t)
  for (let round = 0; round < 5; round += 1) {
    const words = ['init', `cluster-${round}`, '--template', 'demo', '--yes']
    const two = await Promise.all([1, 2].map(() => runVictim(words, { cwd: project.folder })))
    assert.ok(
      two.some(({ status }) => status === 0),
      two.map(({ said }) => said).join('\n'),
    )
    for (const { status, said } of two)
      if (status !== 0)
        assert.match(said, /exists already and is not overwritten|another process has just made/)
    const file = (name: string) => project.file(`cluster-${round}/${name}`)
    parseClusterKey(readFileSync(file('cluster.key'), 'utf8'), 'cluster.key')
    assert.equal((await runVictim(words, { cwd: project.folder })).status, 0)
    assert.ok(existsSync(file('cluster.yaml')))
    assert.deepEqual(readdirSync(project.file(`cluster-${round}`)).sort(), [
      '.gitignore',
      'cluster.key',
      'cluster.yaml',
    ])
  }
})
