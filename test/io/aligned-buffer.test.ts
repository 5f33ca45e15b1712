import assert from 'node:assert/strict'
import { closeSync, constants, openSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { allocateAligned } from '../../src/io/aligned-buffer.ts'
import { KiB } from '../../src/units.ts'
import { tempFolder } from '../support/temp.ts'

test('buffers are separate, as long as asked for, and start on 64 KiB within their memory', () => {
  const buffers = allocateAligned(3, 100 * KiB)
  for (const [index, buffer] of buffers.entries()) {
    assert.equal(buffer.length, 100 * KiB)
    assert.equal(buffer.byteOffset % (64 * KiB), 0)
    assert.ok(buffer.every((byte) => byte === 0))
    buffer.fill(index + 1)
  }
  assert.deepEqual(
    buffers.map((buffer) => [buffer[0], buffer.at(-1)]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  )
})

test('the kernel takes them for direct I/O', (t) => {
  if (process.platform !== 'linux') return t.skip('O_DIRECT is of Linux')
  const path = join(tempFolder(t), 'direct')
  writeFileSync(path, Buffer.alloc(8 * KiB, 7))
  const fd = openSync(path, constants.O_RDWR | constants.O_DIRECT)
  t.after(() => closeSync(fd))
  const [buffer] = allocateAligned(1, 4 * KiB)
  assert.ok(buffer)
  assert.equal(readSync(fd, buffer, 0, 4 * KiB, 4 * KiB), 4 * KiB)
  assert.ok(buffer.every((byte) => byte === 7))
  assert.equal(writeSync(fd, buffer, 0, 4 * KiB, 0), 4 * KiB)
})
