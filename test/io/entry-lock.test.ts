import assert from 'node:assert/strict'
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockEntry, lockUnlessAlive, tryLockEntry } from '../../src/io/entry-lock.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

const never = new AbortController().signal
const held = (lock: ReturnType<typeof tryLockEntry>): boolean => 'release' in lock

test('the second is told who has it, and gets it when it is free', async (t) => {
  const path = join(tempFolder(t), 'x')
  const first = tryLockEntry(path)
  assert.ok('release' in first)
  assert.deepEqual(tryLockEntry(path), { heldBy: process.pid })
  const waits: number[] = []
  const second = lockEntry(path, never, (pid) => {
    waits.push(pid)
    first.release()
  })
  ;(await second).release()
  assert.deepEqual(waits, [process.pid])
  assert.ok(!existsSync(path))
})

test('waiting can be stopped', async (t) => {
  const path = join(tempFolder(t), 'x')
  const first = tryLockEntry(path)
  assert.ok('release' in first)
  t.after(() => first.release())
  const stop = new AbortController()
  await assert.rejects(
    lockEntry(path, stop.signal, () => stop.abort(new Error('stopped'))),
    { message: 'stopped' },
  )
})

/** A lock as it would stand there, with some of its words changed. */
function plant(path: string, changes: object, ageMs = 0): void {
  const lock = tryLockEntry(path)
  assert.ok('release' in lock)
  const holder = JSON.parse(readFileSync(path, 'utf8'))
  lock.release()
  writeFileSync(path, JSON.stringify({ ...holder, ...changes }))
  const then = new Date(Date.now() - ageMs)
  utimesSync(path, then, then)
}

const minute = 60_000
const cases: { name: string; changes: object; ageMs: number; free: boolean; linux?: true }[] = [
  { name: 'a process that is gone', changes: { pid: 2 ** 22 + 1 }, ageMs: 0, free: true },
  {
    name: 'a number that another process has now',
    changes: { started: '1' },
    ageMs: 0,
    free: true,
    linux: true,
  },
  { name: 'this very process', changes: {}, ageMs: 60 * minute, free: false },
  {
    name: 'another machine, just now',
    changes: { place: 'elsewhere', pid: 2 ** 22 + 1 },
    ageMs: minute,
    free: false,
  },
  {
    name: 'another machine, long ago',
    changes: { place: 'elsewhere', pid: 2 ** 22 + 1 },
    ageMs: 11 * minute,
    free: true,
  },
]
for (const { name, changes, ageMs, free, linux } of cases) {
  test(`a lock of ${name} is ${free ? 'taken over' : 'respected'}`, (t) => {
    if (linux && process.platform !== 'linux') return t.skip('start times are known on Linux only')
    const folder = tempFolder(t)
    const path = join(folder, 'x')
    plant(path, changes, ageMs)
    const lock = tryLockEntry(path)
    assert.equal(held(lock), free)
    if ('release' in lock) lock.release()
    if (free) assert.deepEqual(readdirSync(folder), [])
  })
}

test('a holder elsewhere lives when it renews its lock, and is gone when it does not', async (t) => {
  const path = join(tempFolder(t), 'x')
  plant(path, { place: 'elsewhere', pid: 4711 })
  const renewal = setTimeout(() => utimesSync(path, new Date(), new Date()), 200)
  t.after(() => clearTimeout(renewal))
  assert.deepEqual(await lockUnlessAlive(path, never, 2 * minute), { heldBy: 4711 })
  const lock = await lockUnlessAlive(path, never, 300)
  assert.ok('release' in lock)
  assert.deepEqual(await lockUnlessAlive(path, never), { heldBy: process.pid })
  lock.release()
})

test('a torn lock file is waited for a moment, then taken over', (t) => {
  const path = join(tempFolder(t), 'x')
  writeFileSync(path, '')
  assert.equal(held(tryLockEntry(path)), false)
  const then = new Date(Date.now() - minute)
  utimesSync(path, then, then)
  assert.equal(held(tryLockEntry(path)), true)
})

test('a lock file of gigabytes is not read: it is nobody’s', (t) => {
  const path = join(tempFolder(t), 'x')
  writeFileSync(path, JSON.stringify({ id: 'x', pid: process.pid, started: '', place: '' }))
  truncateSync(path, 3 * 1024 ** 3)
  const then = new Date(Date.now() - minute)
  utimesSync(path, then, then)
  assert.equal(held(tryLockEntry(path)), true)
})

test('releasing leaves a lock alone that somebody took over', (t) => {
  const path = join(tempFolder(t), 'x')
  const mine = tryLockEntry(path)
  assert.ok('release' in mine)
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), id: 'another' }))
  mine.release()
  assert.ok(existsSync(path))
})

test('no room for the lock’s text: said, and no lock left that nobody holds', (t) => {
  if (!needRoot(t)) return
  const folder = tempFolder(t, () => run('umount', [folder]))
  assert.equal(run('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', folder]).status, 0)
  assert.notEqual(run('dd', ['if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=1k']).status, 0)
  assert.throws(() => tryLockEntry(join(folder, 'x')), { code: 'ENOSPC' })
  assert.deepEqual(readdirSync(folder), ['filler'])
  rmSync(join(folder, 'filler'))
  const lock = tryLockEntry(join(folder, 'x'))
  assert.ok('release' in lock)
  lock.release()
})
