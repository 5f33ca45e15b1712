/** Bad surroundings, by chance or by intent: one sentence and the right status, never a stack. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { systemRefusal } from '../../src/system-refusal.ts'
import { held } from '../support/attack.ts'
import { demoProject, type Project } from '../support/project.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const cli = join(packageRoot(), 'build/src/cli.js')

/** Run the program as one of its own, behind a shell that sets the scene. */
async function inShell(
  t: TestContext,
  project: Project,
  scene: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
) {
  const words = [process.execPath, cli, ...args, '--cluster', project.file('cluster.yaml')]
  const child = spawn(
    'sh',
    ['-c', `${scene.startsWith('exec timeout') ? scene : `${scene} exec`} "$@"`, 'sh', ...words],
    {
      cwd: project.folder,
      env: { PATH: process.env.PATH, HOME: project.folder, ...env },
    },
  )
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
  const [status, signal] = await once(child, 'close')
  return { status, signal, text }
}

const scenes: Record<string, { scene: string; env?: NodeJS.ProcessEnv; says?: RegExp }> = {
  'few descriptors': { scene: 'ulimit -n 64;' },
  'very few descriptors': { scene: 'ulimit -n 40;' },
  'little address space': { scene: 'ulimit -v 3000000;' },
  'no HOME': { scene: 'unset HOME;' },
  'an empty HOME': { scene: 'HOME=;' },
  'a HOME that is not there': { scene: 'HOME=/nowhere/at/all;' },
  'no environment at all': { scene: '', env: { PATH: undefined, HOME: undefined } },
  'a small stack': { scene: 'ulimit -s 512;' },
  'no stdin': { scene: 'exec <&-;' },
  'no stdout': { scene: 'exec >&-;' },
  'no stderr': { scene: 'exec 2>&-;' },
}
for (const [what, { scene, env }] of Object.entries(scenes)) {
  for (const args of [
    ['plan', '--node', 'oneil'],
    ['flash', '--yes', '--node', 'oneil', 'card.img'],
  ]) {
    test(`${what}: ${args[0]} is done, or one sentence says why not`, async (t) => {
      if (needTool(t, 'sh', 'dash') === undefined) return
      const project = demoProject(t)
      const { status, text } = await inShell(
        t,
        project,
        scene,
        [...args, '--cache', project.file('cache')],
        env,
      )
      assert.doesNotMatch(text, /bug in piimage|^\s+at .*:\d+:\d+\)?$/m, text)
      assert.ok([0, 2, 3].includes(status), `${status}: ${text}`)
      if (status !== 0 && !scene.includes('2>&-')) assert.match(text, /^piimage: .*\n {2}\S/m)
      assert.ok(!existsSync(project.file('.cache')) || !text.includes('./.cache'))
      held(t, 1)
    })
  }
}

test('the cache is removed while an image is unpacked', async (t) => {
  const project = demoProject(t)
  const cache = project.file('gone')
  const said = await project.piimageWatched(
    (text) => {
      if (text.includes('unpacking')) rmSync(cache, { recursive: true, force: true })
    },
    'plan',
    '--node',
    'oneil',
  )
  assert.ok([0, 2, 3].includes(said.status), said.stderr)
  assert.doesNotMatch(said.stderr, /bug in piimage/)
  held(t, 1)
})

const errno = (code: string, syscall = 'open', path?: string) =>
  Object.assign(new Error(`${code}: so it is, ${syscall}`), { code, syscall, path })

for (const [what, error, says] of [
  ['EMFILE', errno('EMFILE'), /too many files are open/],
  ['ENFILE', errno('ENFILE'), /too many files are open/],
  ['ENOMEM', errno('ENOMEM', 'mmap'), /not enough memory/],
  ['WebAssembly', new RangeError('WebAssembly.Memory(): could not allocate memory'), /not enough memory/],
  ['a buffer', new RangeError('Array buffer allocation failed'), /not enough memory/],
  ['fork', errno('EAGAIN', 'spawn'), /no further process/],
  [
    'a folder that went',
    errno('ENOENT', 'open', '/nowhere/cache/images/x.part'),
    /the folder \/nowhere\/cache\/images is gone/,
  ],
] as const) {
  test(`${what}: a sentence, status 2`, () => {
    const refusal = systemRefusal(error)
    assert.match(refusal?.message ?? '', says)
    assert.equal(refusal?.exitCode, 2)
    assert.ok(refusal?.hint)
  })
}

test('bugs stay bugs', () => {
  for (const error of [
    new Error('x'),
    new RangeError('Invalid array length'),
    errno('ENOENT', 'open', join(packageRoot(), 'not-there')),
    errno('ENOENT', 'open', 'relative/path'),
    'no error',
    undefined,
  ])
    assert.equal(systemRefusal(error), undefined)
})

test('a clock of last century and one of the next give the same card', async (t) => {
  if (needTool(t, 'faketime', 'faketime') === undefined) return
  const project = demoProject(t)
  const cards = ['1999-01-01', '2099-01-01'].map((day, index) => {
    const args = [
      cli,
      'flash',
      '--yes',
      '--node',
      'oneil',
      `card${index}.img`,
      '--cache',
      project.file('cache'),
    ]
    const ran = run('faketime', [day, process.execPath, ...args], { cwd: project.folder })
    assert.equal(ran.status, 0, ran.stderr)
    return readFileSync(project.file(`card${index}.img`))
  })
  assert.ok(cards[0]?.equals(cards[1] ?? Buffer.alloc(0)))
})

test('a folder that may not be written: nothing of the card is there', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  mkdirSync(project.file('sealed'))
  const mounted = run('mount', ['-t', 'tmpfs', '-o', 'ro,size=1m', 'none', project.file('sealed')])
  assert.equal(mounted.status, 0, mounted.stderr)
  project.beforeRemoval(() => void run('umount', [project.file('sealed')]))
  for (const args of [
    ['flash', '--yes', '--node', 'oneil', project.file('sealed/card.img')],
    ['bake', '--node', 'oneil', '--output', project.file('sealed')],
    ['init', project.file('sealed/new')],
    ['export', 'hosts', '-o', project.file('sealed/hosts')],
  ]) {
    const said = await project.piimage(...args)
    assert.equal(said.status, 2, said.stderr)
    assert.doesNotMatch(said.stderr, /bug in piimage/)
  }
  held(t, 4)
})

test('a cache that is full', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  mkdirSync(project.file('full'))
  const mounted = run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', project.file('full')])
  assert.equal(mounted.status, 0, mounted.stderr)
  project.beforeRemoval(() => void run('umount', [project.file('full')]))
  const { status, text } = await inShell(t, project, '', [
    'plan',
    '--node',
    'oneil',
    '--cache',
    project.file('full'),
  ])
  assert.ok([2, 3].includes(status), text)
  assert.doesNotMatch(text, /bug in piimage/)
  held(t, 1)
})

test('60,000 nodes in a cluster file are read, and not in minutes', async (t) => {
  const project = demoProject(t)
  const text = readFileSync(project.file('cluster.yaml'), 'utf8')
  const lines = Array.from(
    { length: 60_000 },
    (_, k) => `  n${k}: { model: pi3b+, address: 10.1.${Math.floor(k / 250)}.${(k % 250) + 1}/8 }\n`,
  )
  const start = text.slice(0, text.indexOf('nodes:')).replaceAll('192.168.2.0/24', '10.0.0.0/8')
  writeFileSync(
    project.file('cluster.yaml'),
    `${start.replaceAll('192.168.2.1', '10.0.0.1')}nodes:\n${lines.join('')}`,
  )
  const {
    signal,
    status,
    text: said,
  } = await inShell(t, project, 'exec timeout -s KILL 100', [
    'plan',
    '--node',
    'n5',
    '--cache',
    project.file('cache'),
  ])
  assert.deepEqual({ signal, status }, { signal: null, status: 0 }, said.slice(-2000))
  held(t, 1)
})
