/** FAT volumes made by mkfs.fat, changed by us, judged by fsck.fat and mtools. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Changes } from '../../../src/disk/changes.ts'
import { FatVolume } from '../../../src/disk/fat/volume.ts'
import { type FileReader, openFileReader } from '../../../src/io/file-reader.ts'
import { MiB } from '../../../src/units.ts'
import { tempFolder } from '../../support/temp.ts'
import { needTool, run } from '../../support/tools.ts'

export interface Shape {
  name: string
  bytes: number
  /** Arguments of mkfs.fat besides label and serial number. */
  args: string[]
}

export const shapes: Shape[] = [
  { name: 'FAT12 2 MiB', bytes: 2 * MiB, args: ['-F', '12'] },
  { name: 'FAT16 64 MiB', bytes: 64 * MiB, args: ['-F', '16'] },
  { name: 'FAT32 256 MiB, 1 sector per cluster', bytes: 256 * MiB, args: ['-F', '32', '-s', '1'] },
  { name: 'FAT32 512 MiB, 1 sector per cluster', bytes: 512 * MiB, args: ['-F', '32', '-s', '1'] },
  { name: 'FAT32 512 MiB, 8 sectors per cluster', bytes: 512 * MiB, args: ['-F', '32', '-s', '8'] },
]

/** Whether all judges are there; false after the test was skipped. */
export function needJudges(t: TestContext): boolean {
  return (
    needTool(t, 'mkfs.fat', 'dosfstools') !== undefined &&
    needTool(t, 'fsck.fat', 'dosfstools') !== undefined &&
    needTool(t, 'mcopy', 'mtools') !== undefined
  )
}

/** An empty volume in a sparse file that is gone after the test. */
export function makeVolume(t: TestContext, shape: Shape): string {
  const path = join(tempFolder(t), 'volume.img')
  writeFileSync(path, '')
  truncateSync(path, shape.bytes)
  const made = run('mkfs.fat', ['--invariant', ...shape.args, '-n', 'BOOTFS', '-i', '7a3f1c55', path])
  assert.equal(made.status, 0, made.stderr)
  return path
}

/** Put local files onto a volume with mtools. */
export function mcopyIn(path: string, files: string[], target = '::'): void {
  const copied = run('mcopy', ['-i', path, '-s', '-m', ...files, target])
  assert.equal(copied.status, 0, copied.stderr)
}

export interface OpenVolume {
  base: FileReader
  changes: Changes
  volume: FatVolume
}

/** The volume in a file, with its edits kept apart. */
export async function openVolume(t: TestContext, path: string): Promise<OpenVolume> {
  const base = await openFileReader(path)
  t.after(() => base.close())
  const changes = new Changes(base)
  return { base, changes, volume: await FatVolume.open(changes) }
}

/** Write the changed ranges into the file they were laid over. */
export async function applyChanges(path: string, changes: Changes): Promise<void> {
  const file = openSync(path, 'r+')
  for (const { offset, length } of changes.ranges()) {
    writeSync(file, await changes.read(offset, length), 0, length, offset)
  }
  closeSync(file)
}

/** fsck.fat finds nothing to say. */
export function checkVolume(path: string): void {
  const checked = run('fsck.fat', ['-n', '-v', path])
  assert.equal(checked.status, 0, checked.stdout + checked.stderr)
}

/** Every file as mtools reads it: path → digest; folders end in `/`. */
export function readByMtools(t: TestContext, path: string): Map<string, string> {
  const out = join(tempFolder(t), 'out')
  mkdirSync(out)
  const copied = run('mcopy', ['-i', path, '-s', '-n', '-Q', '::*', out], { env: { LC_ALL: 'C.UTF-8' } })
  const isEmpty = run('mdir', ['-i', path, '-b', '::']).stdout.trim() === ''
  if (!isEmpty) assert.equal(copied.status, 0, copied.stderr)
  const found = new Map<string, string>()
  for (const file of readdirSync(out, { recursive: true, withFileTypes: true })) {
    const full = join(file.parentPath, file.name)
    const name = full.slice(out.length + 1)
    if (file.isDirectory()) found.set(`${name}/`, '')
    else found.set(name, digest(readFileSync(full)))
  }
  return found
}

/** The same by our own reader. */
export async function readByUs(volume: FatVolume): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for await (const entry of volume.walk()) {
    if (entry.isDirectory) found.set(`${entry.path}/`, '')
    else found.set(entry.path, digest(await volume.readFile(entry.path)))
  }
  return found
}

export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Numbers from a seed (mulberry32): the same in each run. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}

export function randomBytes(random: (below: number) => number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const seed = random(256)
  for (let i = 0; i < length; i += 1) bytes[i] = (seed + i * 31 + (i >> 8)) & 0xff
  return bytes
}
