/** Files that appear whole, and what killed processes left beside them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createFileAtomically, writeFileAtomically } from '../../src/io/atomic-file.ts'
import { clearDeadParts } from '../../src/io/parts.ts'
import { tempFolder } from '../support/temp.ts'

/** The number of a process that has ended. */
const deadPid = (): number => spawnSync(process.execPath, ['--version']).pid

for (const [name, make] of [
  ['writeFileAtomically', writeFileAtomically],
  ['createFileAtomically', createFileAtomically],
] as const) {
  test(`${name}: the file, whole, and no part of a dead process`, async (t) => {
    const folder = tempFolder(t)
    const path = join(folder, 'file')
    for (const left of [`file.${deadPid()}.part`, `file.${process.ppid}.part`, 'file.part', 'other.1.part'])
      writeFileSync(join(folder, left), 'torn')
    await make(path, 'whole', 0o600)
    assert.equal(readFileSync(path, 'utf8'), 'whole')
    assert.equal(statSync(path).mode % 0o1000, 0o600)
    // A living process's part, and what is not called as parts are, is left alone.
    assert.deepEqual(readdirSync(folder).sort(), [
      'file',
      `file.${process.ppid}.part`,
      'file.part',
      'other.1.part',
    ])
  })
}

test('createFileAtomically replaces nothing', async (t) => {
  const path = join(tempFolder(t), 'file')
  writeFileSync(path, 'mine')
  await assert.rejects(createFileAtomically(path, 'theirs'), { code: 'EEXIST' })
  assert.equal(readFileSync(path, 'utf8'), 'mine')
  assert.deepEqual(readdirSync(join(path, '..')), ['file'])
})

test('clearDeadParts names the living process that makes the same file', async (t) => {
  const folder = tempFolder(t)
  writeFileSync(join(folder, `file.${process.ppid}.part`), '')
  assert.equal(await clearDeadParts(join(folder, 'file')), process.ppid)
  assert.equal(await clearDeadParts(join(folder, 'other')), undefined)
})
