/** Files that appear whole, and what killed processes left beside them. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createFileAtomically, writeFileAtomically } from '../../src/io/atomic-file.ts'
import { clearDeadParts, clearParts, partOf } from '../../src/io/parts.ts'
import { nameOf } from '../support/names-of-processes.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

/** A process that may be another piimage, until the test ends. @returns its number */
function livingPid(t: TestContext): number {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  t.after(() => child.kill())
  return child.pid as number
}

const part = (pid: number, place?: string): string => `${nameOf('file.', pid, place)}.part`

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
    const other = `${nameOf('other.', deadPid())}.part`
    for (const left of [part(deadPid()), part(living), 'file.part', other])
      writeFileSync(join(folder, left), 'torn')
    await make(path, 'whole', 0o600)
    assert.equal(readFileSync(path, 'utf8'), 'whole')
    assert.equal(statSync(path).mode % 0o1000, 0o600)
    // A living process's part, and what is not called as parts are, is left alone.
    assert.deepEqual(readdirSync(folder).sort(), ['file', part(living), 'file.part', other].sort())
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
  if (process.platform !== 'linux') return
  writeFileSync(join(folder, part(daemon.pid as number)), '')
  await clearDeadParts(join(folder, 'file'))
  assert.deepEqual(readdirSync(folder), [])
})

test('a number of another place says nothing: its part is dead when it is a day old', async (t) => {
  const folder = tempFolder(t)
  const [fresh, old] = [part(deadPid(), '01234567'), part(deadPid(), '89abcdef')]
  for (const name of [fresh, old]) writeFileSync(join(folder, name), '')
  const dayBefore = new Date(Date.now() - 25 * 60 * 60_000)
  utimesSync(join(folder, old), dayBefore, dayBefore)
  await clearDeadParts(join(folder, 'file'))
  assert.deepEqual(readdirSync(folder), [fresh])
})

test('a name of another place that leads round in a circle is nobody’s business', async (t) => {
  const folder = tempFolder(t)
  const name = part(deadPid(), '01234567')
  symlinkSync(name, join(folder, name))
  await clearDeadParts(join(folder, 'file'))
  assert.deepEqual(readdirSync(folder), [name])
})

test('a container is a place of its own', (t) => {
  if (!needRoot(t) || process.platform !== 'linux') return
  const source = `import { partOf } from '${new URL('../../src/io/parts.js', import.meta.url)}'; console.log(partOf('file'))`
  const ask = (words: string[]) => {
    const said = run('unshare', [...words, process.execPath, '--input-type=module', '-e', source])
    assert.equal(said.status, 0, said.stderr)
    return said.stdout.trim().replace(/^file\.\d+-/, '')
  }
  const here = partOf('file').replace(/^file\.\d+-/, '')
  assert.equal(ask(['--net']), here, 'numbers are the same there')
  assert.notEqual(ask(['--pid', '--fork']), here)
})

test('whoever holds the lock clears every part', async (t) => {
  const folder = tempFolder(t)
  const names = [part(livingPid(t)), part(deadPid()), part(deadPid(), '01234567'), 'file.part', 'file.1.part']
  for (const name of names) writeFileSync(join(folder, name), '')
  await clearParts(join(folder, 'file'))
  assert.deepEqual(readdirSync(folder).sort(), ['file.1.part', 'file.part'])
})
