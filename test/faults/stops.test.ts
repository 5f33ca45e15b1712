/**
 * SIGINT, SIGTERM and SIGHUP while piimage is busy or waits: it ends by itself,
 * with status 130, a sentence on what state things are in, and nothing half
 * done. What it waits for never comes, and the simulated card is slow: a run
 * that would finish its work first would not end here.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { nameOf } from '../support/names-of-processes.ts'
import { demoProject } from '../support/project.ts'
import { needTool } from '../support/tools.ts'
import { stops } from './stop-rows.ts'
import { startVictim } from './victim.ts'

for (const { name, signal = 'SIGINT', arrange, says } of stops) {
  test(`${signal} during ${name}: status 130, and it says how things stand`, async (t) => {
    const project = demoProject(t)
    const arranged = await arrange(t, project)
    if (arranged === undefined) return
    const { words, at, cwd = project.folder, within = [] } = arranged
    let stopped = false
    const victim = startVictim([...words, '--json', '--cache', 'cache'], {
      cwd,
      within,
      onText: (_, { said }) => void (at instanceof RegExp && at.test(said()) && stop()),
    })
    const stop = () => {
      if (!stopped) victim.process.kill(signal)
      stopped = true
    }
    if (at instanceof Promise) void at.then(stop)
    const death = await victim.ended
    assert.ok(stopped, death.said)
    assert.equal(death.status, 130, death.said)
    assert.match(death.said, says)
    assert.match(death.said, /"exitCode":130/)
    assert.doesNotMatch(death.said, /bug in piimage/)
    arranged.check()
    const left = readdirSync(project.folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /(^|\/)(\..*\.lock|[^/]*\.\d+-[0-9a-f]{8}\.part)$/.test(file),
    )
    assert.deepEqual(left, [])
  })
}

test('what a killed status left in the temporary folder is cleared by the next', async (t) => {
  if (needTool(t, 'ssh', 'openssh-client') === undefined) return
  const project = demoProject(t)
  mkdirSync(project.file('tmp'))
  mkdirSync(project.file(`tmp/${nameOf('piimage-ssh-', 2 ** 22 + 1)}-dead`), { mode: 0o700 })
  // Anybody may give a folder such a name: others may write to this one, so it is left as it is.
  const open = `${nameOf('piimage-ssh-', 2 ** 22 + 2)}-open`
  mkdirSync(project.file(`tmp/${open}`))
  writeFileSync(project.file(`tmp/${open}/config`), '')
  const alive = `${nameOf('piimage-ssh-', process.pid)}-alive`
  mkdirSync(project.file(`tmp/${alive}`))
  writeFileSync(project.file('ssh_config'), 'Host *\n  HostName 127.0.0.1\n  Port 1\n')
  const { status, said } = await startVictim(['status', '--ssh-config', 'ssh_config'], {
    cwd: project.folder,
    env: { TMPDIR: project.file('tmp') },
  }).ended
  // None of the nodes is there.
  assert.equal(status, 8, said)
  assert.deepEqual(readdirSync(project.file('tmp')).sort(), [alive, open].sort())
  assert.deepEqual(readdirSync(project.file(`tmp/${open}`)), ['config'])
})
