/** What extraction refuses, and that nothing is left of what was stopped. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import { DriveError, InterruptedError, UsageError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { compareTree } from '../../src/tree/compare-tree.ts'
import { extractRoot } from '../../src/tree/extract-root.ts'
import { MiB } from '../../src/units.ts'
import { makeVolume, openVolumeFile, type VolumeFile } from '../support/ext4-images.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'
import { writeTar } from './write-tar.ts'

const FILES = 300

/** 300 files of 20 kB in three folders, put there by mke2fs. */
function smallVolume(t: TestContext): VolumeFile | undefined {
  const folder = tempFolder(t)
  for (const name of ['a', 'b', 'c']) mkdirSync(join(folder, name))
  for (let i = 0; i < FILES; i += 1)
    writeFileSync(join(folder, 'abc'.charAt(i % 3), `${i}`), Buffer.alloc(20_000, i))
  return makeVolume(t, 32 * MiB, ['-t', 'ext4', '-d', folder])
}

async function openSmall(t: TestContext): Promise<Ext4Volume | undefined> {
  const file = smallVolume(t)
  return file && Ext4Volume.open(await openVolumeFile(t, file))
}

test('only root can give files away, and anybody can look at them', async (t) => {
  if (!needRoot(t)) return
  const volume = await openSmall(t)
  if (volume === undefined) return
  const parent = tempFolder(t)
  chownSync(parent, 65_534, 65_534)
  const folder = join(parent, 'root')
  process.seteuid?.(65_534)
  try {
    await assert.rejects(extractRoot(volume, folder, recordTask()), (error) => {
      assert.ok(error instanceof UsageError)
      assert.match(error.message, /only root .* owners/)
      return true
    })
    assert.deepEqual(readdirSync(parent), [])
    const manifest = await extractRoot(volume, folder, recordTask(), { owners: false })
    assert.equal(manifest.entries.length, FILES + 5)
  } finally {
    process.seteuid?.(0)
  }
  assert.equal(statSync(join(folder, 'a', '0')).uid, 65_534)
})

test('what is there is not replaced', async (t) => {
  const volume = await openSmall(t)
  if (volume === undefined) return
  const parent = tempFolder(t)
  const folder = join(parent, 'root')
  writeFileSync(folder, 'mine')
  await assert.rejects(extractRoot(volume, folder, recordTask(), { owners: false }), /is there already/)
  assert.deepEqual(readdirSync(parent), ['root'])
})

test('stopped in the middle: nothing is left', async (t) => {
  const volume = await openSmall(t)
  if (volume === undefined) return
  const parent = tempFolder(t)
  const stop = new AbortController()
  const task = recordTask(({ bytes }) => {
    if (bytes > 2_000_000) stop.abort(new InterruptedError('stopped'))
  }, stop.signal)
  const extraction = extractRoot(volume, join(parent, 'root'), task, { owners: false })
  await assert.rejects(extraction, InterruptedError)
  assert.deepEqual(readdirSync(parent), [])
})

test('no room: says so, and nothing is left', async (t) => {
  if (!needRoot(t)) return
  const volume = await openSmall(t)
  if (volume === undefined) return
  const folder = tempFolder(t, () => void run('umount', [folder]))
  assert.equal(run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]).status, 0)
  await assert.rejects(extractRoot(volume, join(folder, 'root'), recordTask()), (error) => {
    assert.ok(error instanceof DriveError, String(error))
    assert.match(error.message, /no room/)
    return true
  })
  assert.deepEqual(readdirSync(folder), [])
})

test('a tar that its reader does not take to the end', async (t) => {
  const volume = await openSmall(t)
  if (volume === undefined) return
  let bytes = 0
  const full = new Writable({
    write(chunk: Uint8Array, _, done) {
      bytes += chunk.length
      done(bytes > 1_000_000 ? Object.assign(new Error('full'), { code: 'ENOSPC' }) : null)
    },
  })
  await assert.rejects(writeTar({ root: volume }, full, recordTask()), /full/)
  // Takes a little and then neither more nor less.
  const stuck: Writable = new Writable({ write: () => void setImmediate(() => stuck.destroy()) })
  await assert.rejects(writeTar({ root: volume }, stuck, recordTask()), { code: 'EPIPE' })
})

/** Extracts `volume` into `folder`, as a program of its own. */
function startExtraction(volume: string, folder: string): ChildProcess {
  const built = join(packageRoot(), 'build', 'src')
  const program = `
    import { openFileReader } from '${built}/io/file-reader.js'
    import { Ext4Volume } from '${built}/disk/ext4/volume.js'
    import { extractRoot } from '${built}/tree/extract-root.js'
    const volume = await Ext4Volume.open(await openFileReader(${JSON.stringify(volume)}))
    const task = { report: () => console.log('.'), signal: new AbortController().signal }
    await extractRoot(volume, ${JSON.stringify(folder)}, task, { owners: false })
    process.exit(0)`
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

test('killed at any moment: the next run completes', async (t) => {
  const file = smallVolume(t)
  if (file === undefined) return
  const parent = tempFolder(t)
  const folder = join(parent, 'root')
  const volume = await Ext4Volume.open(await openVolumeFile(t, file))
  for (const delayMs of [0, 5, 15, 30]) {
    const child = startExtraction(file.path, folder)
    const closed = new Promise((resolve) => child.once('close', resolve))
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    await sleep(delayMs)
    child.kill('SIGKILL')
    await closed
    if (existsSync(folder)) break
    assert.deepEqual(readdirSync(parent), ['root.part'])
  }
  if (existsSync(folder)) run('rm', ['-r', folder])
  const task = recordTask()
  const manifest = await extractRoot(volume, folder, task, { owners: process.geteuid?.() === 0 })
  assert.deepEqual(readdirSync(parent), ['root'])
  if (process.geteuid?.() === 0) assert.deepEqual(await compareTree(manifest, folder, task), [])
})
