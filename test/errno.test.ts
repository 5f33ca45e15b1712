import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMissing, refusalOf } from '../src/errno.ts'
import { tempFolder } from './support/temp.ts'

test("what the system says of a path is told apart, and nothing else is taken for the system's word", async (t) => {
  const folder = tempFolder(t)
  const missing = await readFile(join(folder, 'none')).catch((error) => error)
  const throughFile = await readdir(join(import.meta.filename, 'below')).catch((error) => error)
  const isFolder = await readFile(folder).catch((error) => error)
  assert.deepEqual([missing, throughFile, isFolder].map(isMissing), [true, true, false])
  assert.deepEqual(['ENOSPC', 'EDQUOT', 'EPERM', 'ENOMEDIUM'].map(refusalOf), [
    'full',
    'full',
    'denied',
    'gone',
  ])
  for (const other of [undefined, null, new Error('ENOENT'), { code: 'ERR_OUT_OF_RANGE' }, 'toString'])
    assert.equal(refusalOf(other), undefined)
})
