/** Files that appear whole, and what killed processes left beside them. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createFileAtomically, writeFileAtomically } from '../../src/io/atomic-file.ts'
import { clearDeadParts } from '../../src/io/parts.ts'
import { tempFolder } from '../support/temp.ts'

/** A process that may be another piimage, until the test ends. @returns its number */
function livingPid(t: TestContext): number {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  t.after(() => child.kill())
  return child.pid as number
}

/** The number of a process that has ended. */
const deadPid = (): number => spawnSync(process.execPath, ['--version']).pid

for (const [name, make] of [
  ['writeFileAtomically', writeFileAtomically],
  ['createFileAtomically', createFileAtomically],
] as const) {
  test(`${name}: the file, whole, and no part of a dead process`, async (t) => {
    const folder = tempFolder(t)
    const path = join(folder, 'file')
    const living = livingPid(t)
    for (const left of [`file.${deadPid()}.part`, `file.${living}.part`, 'file.part', 'other.1.part'])
      writeFileSync(join(folder, left), 'torn')
    await make(path, 'whole', 0o600)
    assert.equal(readFileSync(path, 'utf8'), 'whole')
    assert.equal(statSync(path).mode % 0o1000, 0o600)
    // A living process's part, and what is not called as parts are, is left alone.
    assert.deepEqual(readdirSync(folder).sort(), ['file', `file.${living}.part`, 'file.part', 'other.1.part'])
  })
}

test('createFileAtomically replaces nothing', async (t) => {
  const path = join(tempFolder(t), 'file')
  writeFileSync(path, 'mine')
  await assert.rejects(createFileAtomically(path, 'theirs'), { code: 'EEXIST' })
  assert.equal(readFileSync(path, 'utf8'), 'mine')
  assert.deepEqual(readdirSync(join(path, '..')), ['file'])
})

test('a part whose number has become that of another program is a dead one', async (t) => {
  const folder = tempFolder(t)
  const daemon = spawn('sleep', ['60'], { stdio: 'ignore' })
  t.after(() => daemon.kill())
  const part = join(folder, `file.${daemon.pid}.part`)
  writeFileSync(part, '')
  if (process.platform !== 'linux') return
  await clearDeadParts(join(folder, 'file'))
  assert.ok(!existsSync(part))
})
