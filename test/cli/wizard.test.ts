/** `init` as a person meets it: on a terminal, with wrong answers among theirs. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

const cli = join(packageRoot(), 'build/src/cli.js')
const helper = join(packageRoot(), 'test/support/terminal.py')

test('init on a terminal: asked again after wrong answers, and plan takes what comes of it', (t) => {
  const python = needTool(t, 'python3', 'python3')
  if (python === undefined) return
  const cwd = tempFolder(t)
  const answers = [
    ['What do you have\\?', 'a shed\r'],
    ['neither a number[\\s\\S]*What do you have', '1\r'],
    ['How many boards', 'Two\r'],
    ['How many boards', '2\r'],
    ['Which board\\?', 'raspberry\r'],
    ['not a known board[\\s\\S]*Which board\\?', 'Raspberry Pi 5\r'],
    ['Which image\\?', '.\r'],
    ['is a folder[\\s\\S]*Which image\\?', 'none.img\r'],
    ['neither a file nor a known image[\\s\\S]*Which image\\?.*Enter for raspios-trixie-arm64-lite@', '\r'],
    ['Who may log in\\?', '\r'],
    ['Wi-Fi network, or Enter for none', '\r'],
  ]
  const env = { HOME: cwd, TERM: 'xterm' }
  const said = run(python, [helper, JSON.stringify(answers), process.execPath, cli, 'init', 'home'], {
    cwd,
    env,
  })
  assert.equal(said.status, 0, said.stdout)
  assert.match(said.stdout, /sudo piimage flash --node pi1 DRIVE/)
  assert.ok(!said.stdout.includes('\\u000a'))
  const file = readFileSync(join(cwd, 'home/cluster.yaml'), 'utf8')
  assert.match(file, /^model: pi5$/m)
  assert.match(file, /^nodes:\n {2}pi1: \{\}\n {2}pi2: \{\}\n$/m)
  const planned = run(process.execPath, [cli, 'plan', '--node', 'pi1', '--offline'], {
    cwd: join(cwd, 'home'),
    env,
  })
  // The image itself is not at hand; everything before it is in order.
  assert.match(planned.stderr, /offline/)
})

for (const [name, key] of [
  ['Ctrl-C', '\u0003'],
  ['Ctrl-D', '\u0004'],
] as const)
  test(`${name} at a question leaves nothing`, (t) => {
    const python = needTool(t, 'python3', 'python3')
    if (python === undefined) return
    const cwd = tempFolder(t)
    const answers = [
      ['What do you have\\?', '\r'],
      ['How many boards', key],
    ]
    const said = run(python, [helper, JSON.stringify(answers), process.execPath, cli, 'init', 'home'], {
      cwd,
      env: { HOME: cwd, TERM: 'xterm' },
    })
    assert.equal(said.status, 130, said.stdout)
    assert.ok(!existsSync(join(cwd, 'home')))
  })
