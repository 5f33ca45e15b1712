/** Partition tables and file systems, read as a flash, an inspect and a netroot read them. */
import assert from 'node:assert/strict'
import { Changes } from '../../../src/disk/changes.ts'
import { readUsage } from '../../../src/disk/ext4/usage.ts'
import { Ext4Volume } from '../../../src/disk/ext4/volume.ts'
import { FatVolume } from '../../../src/disk/fat/volume.ts'
import { readPartitions } from '../../../src/disk/partitions.ts'
import { PiimageError } from '../../../src/errors.ts'
import { MiB } from '../../../src/units.ts'
import { readUsedRanges } from '../../support/used-ranges.ts'
import { diskSeeds } from '../seeds.ts'
import { openPackedImage } from '../sparse-image.ts'
import type { FuzzTarget } from '../target.ts'

const PATIENCE_BYTES = 4 * MiB
const PATIENCE_STEPS = 20_000

export const partitionTarget: FuzzTarget = {
  name: 'partitions',
  kind: 'binary',
  seeds: async () => diskSeeds('mbr', 'gpt'),
  async run(input) {
    const image = openPackedImage(input)
    await readPartitions(image)
    const { ranges } = await readUsedRanges(image)
    for (const { offset, length } of ranges)
      assert.ok(offset >= 0 && length > 0 && offset + length <= image.length)
  },
}

export const fatTarget: FuzzTarget = {
  name: 'fat',
  kind: 'binary',
  seeds: async () => diskSeeds('fat'),
  async run(input) {
    const changes = new Changes(openPackedImage(input))
    const volume = await FatVolume.open(changes)
    const { steps, files } = await readFatFiles(volume)
    if (steps < 0) return
    await volume.usedRanges()
    await editFat(changes, volume, files)
  },
}

async function readFatFiles(volume: FatVolume): Promise<{ steps: number; files: Map<string, Buffer> }> {
  let steps = 1000
  const files = new Map<string, Buffer>()
  for await (const { path, isDirectory, size } of volume.walk()) {
    steps -= 1
    if (steps < 0) break
    if (!isDirectory && size <= PATIENCE_BYTES) files.set(path, Buffer.from(await volume.readFile(path)))
  }
  return { steps, files }
}

/** What an edit promises: the new file reads back, and the others are as they were, or nothing changed at all. */
async function editFat(changes: Changes, volume: FatVolume, before: Map<string, Buffer>): Promise<void> {
  const modified = new Date(Date.UTC(2025, 0, 1))
  const content = Buffer.alloc(1500, 'content ')
  let failed: unknown
  try {
    await volume.mkdir('piimage', { modified })
    await volume.writeFile('piimage/a new long name', content, { modified })
  } catch (error) {
    if (!(error instanceof PiimageError)) throw error
    failed = error
  }
  const again = await FatVolume.open(changes)
  if (failed === undefined)
    assert.deepEqual(Buffer.from(await again.readFile('piimage/a new long name')), content)
  if (!crossLinked(before)) {
    for (const [path, bytes] of before) {
      if (/^piimage(\/|$)/i.test(path)) continue
      assert.deepEqual(Buffer.from(await again.readFile(path)), bytes, path)
    }
  }
  if (failed !== undefined) throw failed
  await again.remove('piimage/a new long name', { wipe: true })
  assert.equal(await again.stat('piimage/a new long name'), undefined)
}

/** Two names for one path, which a damaged folder may hold: then "the others" means nothing. */
const crossLinked = (files: Map<string, Buffer>): boolean =>
  new Set([...files.keys()].map((path) => path.toLowerCase())).size < files.size

export const ext4Target: FuzzTarget = {
  name: 'ext4',
  kind: 'binary',
  seeds: async () => diskSeeds('ext'),
  async run(input) {
    const image = openPackedImage(input)
    const volume = await Ext4Volume.open(image)
    let steps = PATIENCE_STEPS
    for await (const { inode } of volume.walk()) {
      steps -= 1
      if (steps < 0) break
      await volume.xattrs(inode)
      if (inode.type === 'symlink') await volume.readLink(inode)
      if (inode.type !== 'file') continue
      let left = PATIENCE_BYTES
      for await (const chunk of volume.readFile(inode)) {
        left -= chunk.length
        if (left < 0) break
      }
      for await (const _ of volume.extentsOf(inode)) {
        steps -= 1
        if (steps < 0) break
      }
    }
    await readUsage(image)
  },
}
