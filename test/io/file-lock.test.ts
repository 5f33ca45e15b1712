import assert from 'node:assert/strict'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockOf, tryLockFile } from '../../src/io/file-lock.ts'
import { tempFolder } from '../support/temp.ts'

const { signal } = new AbortController()

test('one has a file, the others learn who; let go, it is free', async (t) => {
  const folder = tempFolder(t)
  const path = join(folder, 'oneil.img')
  const tries = await Promise.all([1, 2, 3].map(() => tryLockFile(path, signal)))
  const locks = tries.flatMap((lock) => ('release' in lock ? [lock] : []))
  assert.equal(locks.length, 1)
  for (const lock of tries) assert.ok('release' in lock || lock.heldBy === process.pid)
  assert.ok('release' in (await tryLockFile(join(folder, 'carter.img'), signal)), 'another file')
  assert.deepEqual(readdirSync(folder).sort(), ['.carter.img.lock', '.oneil.img.lock'])
  locks[0]?.release()
  assert.ok('release' in (await tryLockFile(path, signal)))
})

test('a lock without a name in it is waited for, and the wait can be stopped', async (t) => {
  const path = join(tempFolder(t), 'oneil.img')
  writeFileSync(lockOf(path), '')
  const stop = new AbortController()
  const waits = tryLockFile(path, stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(waits, /enough/)
  const comes = tryLockFile(path, signal)
  rmSync(lockOf(path))
  assert.ok('release' in (await comes))
})

test('where no lock can lie the work says what is wrong', async (t) => {
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'file'), '')
  for (const path of [join(folder, 'nowhere', 'x.img'), join(folder, 'file', 'x.img')]) {
    const lock = await tryLockFile(path, signal)
    assert.ok('release' in lock)
    lock.release()
  }
})
