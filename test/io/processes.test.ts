/** Who lives: a process that has ended and whose parent has not looked does not. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { tryLockEntry } from '../../src/io/entry-lock.ts'
import { clearDeadParts } from '../../src/io/parts.ts'
import { isRunning, programOf, startOfProcess } from '../../src/io/processes.ts'
import { nameOf } from '../support/names-of-processes.ts'
import { tempFolder } from '../support/temp.ts'

/** A process that has ended under a parent that never looks. @returns its number */
async function zombie(t: TestContext): Promise<number> {
  const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.after(() => parent.kill())
  const [said] = await once(parent.stdout, 'data')
  const pid = Number(said)
  while (!/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) await sleep(10)
  return pid
}

test('this process, one that is gone, and one that has ended unseen', async (t) => {
  assert.ok(isRunning(process.pid))
  assert.ok(!isRunning(spawnSync(process.execPath, ['--version']).pid))
  if (process.platform !== 'linux') return
  assert.match(startOfProcess(process.pid), /^\d+$/)
  assert.equal(programOf(process.pid), process.argv0)
  const pid = await zombie(t)
  assert.ok(!isRunning(pid))
  assert.equal(startOfProcess(pid), '')
})

test('what one that has ended unseen left, a lock or a part, is taken over', async (t) => {
  if (process.platform !== 'linux') return
  const folder = tempFolder(t)
  const pid = await zombie(t)
  const path = join(folder, 'lock')
  const mine = tryLockEntry(path)
  assert.ok('release' in mine)
  const holder = JSON.parse(readFileSync(path, 'utf8'))
  const started = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19]
  writeFileSync(path, JSON.stringify({ ...holder, id: 'another', pid, started }))
  const taken = tryLockEntry(path)
  assert.ok('release' in taken, 'the lock is free')
  taken.release()
  writeFileSync(join(folder, `${nameOf('file.', pid)}.part`), '')
  await clearDeadParts(join(folder, 'file'))
  assert.deepEqual(readdirSync(folder), [])
})
