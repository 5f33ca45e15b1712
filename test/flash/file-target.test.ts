/** Image files as targets: whole under their name, or not there at all. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DriveError } from '../../src/errors.ts'
import type { CardReport } from '../../src/flash/card.ts'
import { openFileTarget } from '../../src/flash/target.ts'
import { writeCard } from '../../src/flash/write.ts'
import { MiB } from '../../src/units.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { nameOf } from '../support/names-of-processes.ts'
import { patternBytes } from '../support/pattern.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

/** Not a multiple of anything. */
const image = patternBytes('image', 9 * MiB + 777)

interface Options {
  overwrite?: boolean
  verified?: () => Promise<void>
}

async function bake(path: string, options: Options = {}): Promise<CardReport> {
  const target = await openFileTarget(path, image.length, {
    overwrite: options.overwrite ?? false,
    signal: new AbortController().signal,
  })
  try {
    return await writeCard(
      {
        target,
        image: memoryReader(image),
        ranges: [
          { offset: 0, length: 2 * MiB },
          { offset: 8 * MiB, length: image.length - 8 * MiB },
        ],
        verified: options.verified ?? (async () => {}),
        verify: true,
      },
      recordTask(),
    )
  } finally {
    await target.close()
  }
}

function expectedFile(): Buffer {
  const expected = Buffer.from(image)
  expected.fill(0, 2 * MiB, 8 * MiB)
  return expected
}

test('a file is as long as the image, with holes where nothing was to be written', async (t) => {
  const folder = tempFolder(t)
  const path = join(folder, 'oneil.img')
  const report = await bake(path)
  assert.deepEqual(readFileSync(path), expectedFile())
  assert.ok(statSync(path).blocks * 512 < 4 * MiB, 'what was skipped takes no room')
  assert.deepEqual(readdirSync(folder), ['oneil.img'])
  assert.equal(report.drive, path)
  assert.equal(report.bytesSkipped, 6 * MiB)
})

test('an existing file is only overwritten when that was asked for, and stays whole until then', async (t) => {
  const path = join(tempFolder(t), 'oneil.img')
  writeFileSync(path, 'old')
  await assert.rejects(bake(path), { name: 'UsageError', message: `${path} exists already` })
  await bake(path, {
    overwrite: true,
    verified: async () => assert.equal(readFileSync(path, 'utf8'), 'old'),
  })
  assert.deepEqual(readFileSync(path), expectedFile())
})

test('a failure leaves no file, and the old one as it was', async (t) => {
  const folder = tempFolder(t)
  const path = join(folder, 'oneil.img')
  const wrong = new Error('sha256 differs')
  await assert.rejects(bake(path, { verified: () => Promise.reject(wrong) }), wrong)
  assert.deepEqual(readdirSync(folder), [])
  writeFileSync(path, 'old')
  await assert.rejects(bake(path, { overwrite: true, verified: () => Promise.reject(wrong) }), wrong)
  assert.deepEqual(readdirSync(folder), ['oneil.img'])
  assert.equal(readFileSync(path, 'utf8'), 'old')
})

test('two on one file, however close together: one writes it, the other refuses', async (t) => {
  const folder = tempFolder(t)
  const path = join(folder, 'oneil.img')
  const ended = spawnSync(process.execPath, ['--version']).pid
  writeFileSync(`${nameOf(`${path}.`, ended)}.part`, '')
  const two = await Promise.allSettled([bake(path), bake(path)])
  const [written, refused] = two.sort((one, other) => (one.status < other.status ? -1 : 1))
  assert.equal(written?.status, 'fulfilled')
  assert.ok(refused?.status === 'rejected' && refused.reason instanceof DriveError)
  assert.equal(refused.reason.message, `${path} is being written by another piimage (process ${process.pid})`)
  assert.deepEqual(readFileSync(path), expectedFile())
  assert.deepEqual(readdirSync(folder), ['oneil.img'], 'no lock, and no part of a killed one')
})

test('what is not a file, and a folder that is not there', async (t) => {
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'folder.img'))
  await assert.rejects(bake(join(folder, 'folder.img'), { overwrite: true }), {
    name: 'UsageError',
    message: /folder\.img is not a file$/,
  })
  await assert.rejects(bake(join(folder, 'nowhere', 'x.img')), {
    name: 'UsageError',
    message: /x\.img can't be made: ENOENT/,
  })
  assert.ok(!existsSync(join(folder, 'nowhere')))
})

test('a file system without direct I/O is used through its cache, and the report says so', async (t) => {
  if (!needRoot(t)) return
  const folder = mkdtempSync(join(tmpdir(), 'piimage-ramfs-'))
  assert.equal(run('mount', ['-t', 'ramfs', 'ramfs', folder]).status, 0)
  try {
    const path = join(folder, 'oneil.img')
    assert.equal((await bake(path)).direct, false)
    assert.deepEqual(readFileSync(path), expectedFile())
  } finally {
    run('umount', [folder])
    rmSync(folder, { recursive: true })
  }
})

test('a full file system', async (t) => {
  if (!needRoot(t)) return
  const folder = mkdtempSync(join(tmpdir(), 'piimage-full-'))
  assert.equal(run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]).status, 0)
  try {
    const path = join(folder, 'oneil.img')
    await assert.rejects(bake(path), {
      name: 'DriveError',
      message: new RegExp(`^there is no room for ${path} \\(ENOSPC at offset \\d+\\); no file was made$`),
    })
    assert.deepEqual(readdirSync(folder), [])
  } finally {
    run('umount', [folder])
    rmSync(folder, { recursive: true })
  }
})
