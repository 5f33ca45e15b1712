import assert from 'node:assert/strict'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FormatError } from '../../src/errors.ts'
import { openGrowingFile } from '../../src/io/growing-file.ts'
import { patternBytes } from '../support/pattern.ts'
import { tempFolder } from '../support/temp.ts'

const bytes = patternBytes('growing', 5000)

test('readers get what is there at once, and the rest when it comes, each by itself', async (t) => {
  const path = join(tempFolder(t), 'image')
  writeFileSync(path, '')
  const file = await openGrowingFile(path, bytes.length)
  t.after(() => file.close())
  const order: string[] = []
  const read = async (name: string, offset: number, length: number) => {
    const got = await file.read(offset, length)
    order.push(name)
    assert.deepEqual(Buffer.from(got), bytes.subarray(offset, offset + length))
  }
  const end = read('end', 4000, 1000)
  const start = read('start', 0, 100)
  const border = read('border', 1900, 100)
  writeFileSync(path, bytes.subarray(0, 2000))
  file.grow(1999)
  await start
  file.grow(2000)
  await border
  appendFileSync(path, bytes.subarray(2000))
  file.grow(5000)
  await end
  assert.deepEqual(order, ['start', 'border', 'end'])
})

test('when the writer fails, reads that wait fail, and later ones too', async (t) => {
  const path = join(tempFolder(t), 'image')
  writeFileSync(path, bytes.subarray(0, 2000))
  const file = await openGrowingFile(path, bytes.length)
  t.after(() => file.close())
  file.grow(2000)
  const wrong = new Error('a damaged block')
  const waiting = file.read(3000, 10)
  await file.read(0, 10)
  file.fail(wrong)
  await assert.rejects(waiting, wrong)
  await assert.rejects(file.read(0, 10), wrong)
})

test('outside the file there is nothing to wait for', async (t) => {
  const path = join(tempFolder(t), 'image')
  writeFileSync(path, '')
  const file = await openGrowingFile(path, 5000)
  t.after(() => file.close())
  await assert.rejects(file.read(4999, 2), FormatError)
})
