import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDirectFile } from '../../src/flash/direct-file.ts'
import { allocateAligned } from '../../src/io/aligned-buffer.ts'
import { KiB } from '../../src/units.ts'
import { tempFolder } from '../support/temp.ts'

/** An aligned buffer of `length` times `byte`. */
function filled(length: number, byte: number): Buffer {
  const [buffer] = allocateAligned(1, length)
  assert.ok(buffer)
  return buffer.fill(byte)
}

test('written and read past the cache', async (t) => {
  if (process.platform !== 'linux') return t.skip('O_DIRECT is of Linux')
  const path = join(tempFolder(t), 'file')
  const file = await openDirectFile(path, { kind: 'new-file' })
  await file.write(filled(8 * KiB, 5), 4 * KiB)
  await file.flush()
  const back = filled(12 * KiB, 9)
  await file.read(back, 0)
  assert.equal(file.direct, true)
  await file.close()
  assert.deepEqual(back, readFileSync(path))
})

test('a first request that direct I/O refuses goes through the cache, like all after it', async (t) => {
  if (process.platform !== 'linux') return t.skip('O_DIRECT is of Linux')
  const path = join(tempFolder(t), 'file')
  const file = await openDirectFile(path, { kind: 'new-file' })
  await file.write(Buffer.alloc(100, 1), 1)
  assert.equal(file.direct, false)
  await file.write(Buffer.alloc(3, 2), 101)
  await file.close()
  assert.deepEqual(
    readFileSync(path),
    Buffer.concat([Buffer.alloc(1), Buffer.alloc(100, 1), Buffer.alloc(3, 2)]),
  )
})

test('a later one is an error: the caller broke the rules', async (t) => {
  if (process.platform !== 'linux') return t.skip('O_DIRECT is of Linux')
  const file = await openDirectFile(join(tempFolder(t), 'file'), { kind: 'new-file' })
  await file.write(filled(4 * KiB, 5), 0)
  await assert.rejects(file.write(Buffer.alloc(100), 1), { code: 'EINVAL' })
  assert.equal(file.direct, true)
  await file.close()
})

test('a file that ends early, and one that exists already', async (t) => {
  const path = join(tempFolder(t), 'file')
  const file = await openDirectFile(path, { kind: 'new-file' })
  await file.write(filled(4 * KiB, 5), 0)
  await assert.rejects(file.read(filled(8 * KiB, 0), 0), { code: 'ENODATA' })
  await file.close()
  await assert.rejects(openDirectFile(path, { kind: 'new-file' }), { code: 'EEXIST' })
})
