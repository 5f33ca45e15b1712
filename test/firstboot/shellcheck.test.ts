import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { needTool, run } from '../support/tools.ts'

const scripts = ['firstboot', 'overlays', 'test/firstboot', 'test/swarm'].flatMap((folder) =>
  readdirSync(join(packageRoot(), folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sh'))
    .map((name) => join(folder, name)),
)

test('shellcheck finds nothing in what runs on a Pi', (t) => {
  if (needTool(t, 'shellcheck', 'shellcheck') === undefined) return
  assert.ok(scripts.length > 10)
  const ran = run('shellcheck', ['-x', '-s', 'sh', ...scripts], { cwd: packageRoot() })
  assert.equal(ran.status, 0, ran.stdout)
})

for (const [shell, args] of [
  ['dash', []],
  ['bash', ['--posix']],
  ['busybox', ['sh']],
] as const)
  test(`${shell} reads every script`, (t) => {
    const program = needTool(t, shell, shell)
    if (program === undefined) return
    for (const script of scripts) {
      const ran = run(program, [...args, '-n', join(packageRoot(), script)])
      assert.equal(ran.status, 0, `${script}: ${ran.stderr}`)
    }
  })
