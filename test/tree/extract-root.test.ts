/** An extracted root is the mounted one, in everything that the system's tools can see of it. */
import assert from 'node:assert/strict'
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import { compareTree } from '../../src/tree/compare-tree.ts'
import { extractRoot } from '../../src/tree/extract-root.ts'
import { formatManifest, parseManifest } from '../../src/tree/manifest-text.ts'
import { KiB, MiB } from '../../src/units.ts'
import { featureSets, makeVolume, openVolumeFile } from '../support/ext4-images.ts'
import { withMount } from '../support/ext4-mount.ts'
import { fillTree } from '../support/ext4-tree.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { assertSameTree, canJudge, describeTree } from './mounted.ts'

for (const { name, args } of featureSets.filter((set) => set.mounts !== false)) {
  test(`an extracted tree equals the mounted one: ${name}`, async (t) => {
    if (!canJudge(t)) return
    const file = makeVolume(t, 64 * MiB, args)
    if (file === undefined) return
    const reader = await openVolumeFile(t, file)
    const { superblock } = await Ext4Volume.open(reader)
    const { blockBytes, features } = superblock
    const options = { blockBytes, largeXattrs: features.has('ea_inode'), names: 300 }
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
