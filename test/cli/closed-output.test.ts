/** Whoever reads the output goes away, or it can't be written: piimage stops, says no stack, and leaves nothing half done. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { demoProject, type Project } from '../support/project.ts'

const program = join(import.meta.dirname, '../../src/cli.js')

interface Ended {
  status: number | null
  stderr: string
}

/** Run it as a program whose stdout, and with `both` whose stderr too, nobody reads beyond its first bytes. */
function runUnread(project: Project, words: string[], both = false): Promise<Ended> {
  const shell = both
    ? '"$@" 2>&1 | head -c 1 >/dev/null; exit $PIPESTATUS'
    : '"$@" | head -c 1 >/dev/null; exit $PIPESTATUS'
  return run(project, ['bash', '-c', shell, 'bash', process.execPath, program, ...words])
}

function run(
  project: Project,
  [command = '', ...args]: string[],
  stdout: 'ignore' | number = 'ignore',
): Promise<Ended> {
  const child = spawn(command, args, {
    cwd: project.folder,
    env: { HOME: project.folder, PATH: process.env.PATH, PIIMAGE_CACHE: project.file('cache') },
    stdio: ['ignore', stdout, 'pipe'],
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((done) => child.on('close', (status) => done({ status, stderr })))
}

/** Names that only a process that is at work may leave: locks, and parts that can't be gone on with. */
const leftovers = (project: Project): string[] =>
  readdirSync(project.folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) =>
      /\.lock$|\.(download|image)$|oneil\.img\..*part$/.test(name) && !name.endsWith('images.lock.json'),
  )

function checkQuiet({ status, stderr }: Ended, project: Project): void {
  assert.doesNotMatch(stderr, /Error|node:|EPIPE|this is a bug/)
  // What was said before the reader went may have been all there was to say.
  assert.ok(status === 0 || status === 141, `status ${status}: ${stderr}`)
  assert.deepEqual(leftovers(project), [])
}

for (const words of [
  ['plan', '--all'],
  ['plan', '--all', '--json'],
  ['images', 'list', '--json'],
  ['flash', '--help'],
  ['completion', 'bash'],
  ['export', 'hosts'],
  ['bake', '--all', '-o', 'out', '--json'],
])
  test(`piimage ${words.join(' ')} | head -c 1`, async (t: TestContext) => {
    const project = demoProject(t)
    checkQuiet(await runUnread(project, words), project)
  })

test('a flash that nobody watches stops as if interrupted, and leaves no lock and no half image', async (t) => {
  const project = demoProject(t)
  const ended = await runUnread(project, ['flash', '--node', 'oneil=oneil.img', '--yes'], true)
  checkQuiet(ended, project)
  assert.equal(existsSync(project.file('oneil.img')), ended.status === 0)
})

for (const words of [
  ['images', 'list'],
  ['plan', '--all'],
  ['export', 'hosts'],
  ['--help'],
  ['flash', '--node', 'oneil=oneil.img', '--yes', '--json'],
])
  test(`piimage ${words.join(' ')} > /dev/full`, async (t: TestContext) => {
    const project = demoProject(t)
    const { status, stderr } = await run(
      project,
      [process.execPath, program, ...words],
      openSync('/dev/full', 'w'),
    )
    assert.equal(status, 2, stderr)
    assert.match(stderr, /the output can't be written \(.*ENOSPC/)
    assert.doesNotMatch(stderr, /node:|this is a bug/)
    assert.deepEqual(leftovers(project), [])
  })

test('stderr alone closed: what is under way is done to its end', async (t) => {
  const project = demoProject(t)
  const shell = '"$@" 2> >(head -c 1 >/dev/null) >said; exit $?'
  const words = ['flash', '--node', 'oneil=oneil.img', '--yes']
  const { status } = await run(project, ['bash', '-c', shell, 'bash', process.execPath, program, ...words])
  assert.equal(status, 0)
  assert.ok(existsSync(project.file('oneil.img')))
  assert.deepEqual(leftovers(project), [])
})
