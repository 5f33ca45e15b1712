/** An extracted root is the mounted one, in everything that the system's tools can see of it. */
import assert from 'node:assert/strict'
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { subReader } from '../../src/disk/blocks.ts'
import { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import { readPartitions } from '../../src/disk/partitions.ts'
import { openFileReader } from '../../src/io/file-reader.ts'
import { compareTree } from '../../src/tree/compare-tree.ts'
import { extractRoot } from '../../src/tree/extract-root.ts'
import { formatManifest, parseManifest } from '../../src/tree/manifest-text.ts'
import { KiB, MiB } from '../../src/units.ts'
import { unpackFile } from '../../src/unpack/unpack.ts'
import { featureSets, makeVolume, openVolumeFile } from '../support/ext4-images.ts'
import { withMount } from '../support/ext4-mount.ts'
import { fillTree } from '../support/ext4-tree.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv } from '../support/tools.ts'
import { assertSameTree, canJudge, describeTree } from './mounted.ts'

for (const { name, args } of featureSets.filter((set) => set.mounts !== false)) {
  test(`an extracted tree equals the mounted one: ${name}`, async (t) => {
    if (!canJudge(t)) return
    const file = makeVolume(t, 64 * MiB, args)
    if (file === undefined) return
    const reader = await openVolumeFile(t, file)
    const { superblock } = await Ext4Volume.open(reader)
    const { blockBytes } = superblock
    // Values larger than a block are for file systems with ea_inode, which the one of this folder is not.
    const options = { blockBytes, largeXattrs: false, names: 300 }
    await withMount(file, 'rw', async (folder) => {
      await fillTree(folder, options)
      // A digest of five gigabytes of zeroes, four times over, proves nothing more.
      truncateSync(join(folder, 'hole'), 20 * MiB)
    })
    const folder = join(tempFolder(t), 'root')
    const task = recordTask()
    const manifest = await extractRoot(await Ext4Volume.open(reader), folder, task)
    await withMount(file, 'ro', (mounted) => {
      const [actual, expected] = [describeTree(folder), describeTree(mounted)]
      assertSameTree(actual, expected)
      for (const [path, bytes] of actual.used) {
        const most = (expected.used.get(path) ?? 0) + 64 * KiB
        // A run of 5 bytes takes a whole block, and this machine's blocks are larger.
        const runs = path === './sparse' ? 2000 * 4 * KiB : 0
        assert.ok(bytes <= most + runs, `${path} takes ${bytes} bytes`)
      }
    })
    assert.deepEqual(parseManifest(formatManifest(manifest), 'text'), manifest)
    assert.deepEqual(await compareTree(manifest, folder, task), [])
    assert.equal(task.progress.at(-1)?.subject, folder)
  })
}

test('the root of a real image equals the mounted one', async (t) => {
  const image = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to extract')
  if (image === undefined || !canJudge(t)) return
  const folder = tempFolder(t)
  const raw = join(folder, 'image')
  const task = recordTask()
  await unpackFile({ source: image, target: raw }, task)
  const reader = await openFileReader(raw)
  t.after(() => reader.close())
  const partition = (await readPartitions(reader)).partitions.at(-1)
  assert.ok(partition !== undefined)
  const { offset, length } = partition
  const volume = await Ext4Volume.open(subReader(reader, offset, length))
  const root = join(folder, 'root')
  const manifest = await extractRoot(volume, root, task)
  assert.ok(manifest.entries.length > 10_000)
  await withMount({ path: raw, bytes: length, offset }, 'ro', (mounted) => {
    assertSameTree(describeTree(root), describeTree(mounted))
  })
  assert.deepEqual(parseManifest(formatManifest(manifest), 'text'), manifest)
})
