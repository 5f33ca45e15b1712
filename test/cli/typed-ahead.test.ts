/** What was typed before a question was on the screen does not answer it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { demoProject } from '../support/project.ts'
import { needTool } from '../support/tools.ts'

const program = join(import.meta.dirname, '../../src/cli.js')

/** Types `before` while nothing is asked yet and `after` once the question is there; prints what was on the screen. */
const terminal = `
import os, pty, sys, time
before, after, *command = sys.argv[1:]
child, screen = pty.fork()
if child == 0:
    os.execvp(command[0], command)
os.write(screen, before.encode())
seen = b''
asked = False
while True:
    try:
        seen += os.read(screen, 1024)
    except OSError:
        break
    if not asked and b'[y/N]' in seen:
        asked = True
        time.sleep(0.3)
        os.write(screen, after.encode())
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
`

for (const [what, before, after] of [
  ['a whole line', 'y\n', 'n\n'],
  ['a line without its end', 'y', '\n'],
  ['several lines', 'y\nyes\ny\n', '\n'],
  ['nothing', '', 'n\n'],
] as const)
  test(`${what} typed ahead replaces no file`, (t) => {
    if (!needTool(t, 'python3', 'python3')) return
    const project = demoProject(t)
    writeFileSync(project.file('oneil.img'), 'mine')
    const words = ['bake', '--node', 'oneil', '--cache', 'cache', '--cluster', 'cluster.yaml']
    const ended = spawnSync('python3', ['-c', terminal, before, after, process.execPath, program, ...words], {
      cwd: project.folder,
      env: { HOME: project.folder, PATH: process.env.PATH, TERM: 'dumb' },
      encoding: 'utf8',
    })
    assert.equal(ended.status, 2, ended.stdout + ended.stderr)
    assert.match(ended.stdout, /oneil\.img will be replaced\. Go on\? \[y\/N\]/)
    assert.match(ended.stdout, /exists, nothing was written/)
    assert.equal(readFileSync(project.file('oneil.img'), 'utf8'), 'mine')
  })

test('an answer to the question counts', (t) => {
  if (!needTool(t, 'python3', 'python3')) return
  const project = demoProject(t)
  writeFileSync(project.file('oneil.img'), 'mine')
  const words = ['bake', '--node', 'oneil', '--cache', 'cache', '--cluster', 'cluster.yaml']
  const ended = spawnSync('python3', ['-c', terminal, 'n\n', 'y\n', process.execPath, program, ...words], {
    cwd: project.folder,
    env: { HOME: project.folder, PATH: process.env.PATH, TERM: 'dumb' },
    encoding: 'utf8',
  })
  assert.equal(ended.status, 0, ended.stdout + ended.stderr)
  assert.notEqual(readFileSync(project.file('oneil.img')).length, 4)
})
