/** A boot partition as a folder, next to what mtools takes out of it. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { openFileReader } from '../../src/io/file-reader.ts'
import { compareTree } from '../../src/tree/compare-tree.ts'
import { extractBoot } from '../../src/tree/extract-boot.ts'
import { MiB } from '../../src/units.ts'
import { makeVolume, mcopyIn, needJudges } from '../disk/fat/judges.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

test('a boot partition is a folder of root’s that everybody may read', async (t) => {
  if (!needRoot(t) || !needJudges(t)) return
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'in', 'overlays'), { recursive: true })
  for (const [name, bytes] of [
    ['config.txt', 300],
    ['kernel8.img', 3_000_000],
    ['empty', 0],
    ['A long name.txt', 10],
    ['overlays/dwc2.dtbo', 801],
  ] as const)
    writeFileSync(join(folder, 'in', name), Buffer.alloc(bytes, name))
  const path = makeVolume(t, { name: 'FAT32', bytes: 64 * MiB, args: ['-F', '32', '-s', '1'] })
  mcopyIn(
    path,
    readdirSync(join(folder, 'in')).map((name) => join(folder, 'in', name)),
  )
  const reader = await openFileReader(path)
  t.after(() => reader.close())

  const out = join(folder, 'out')
  const task = recordTask()
  const manifest = await extractBoot(await FatVolume.open(reader), out, task)
  assert.equal(task.progress.at(-1)?.bytes, task.progress.at(-1)?.totalBytes)
  assert.equal(run('diff', ['-r', join(folder, 'in'), out]).stdout, '')
  const listed = run('bash', ['-c', 'cd "$0" && find . -printf "%P %m %U:%G\n" | sort', out]).stdout
  assert.equal(
    listed,
    ` 755 0:0
A long name.txt 644 0:0
config.txt 644 0:0
empty 644 0:0
kernel8.img 644 0:0
overlays 755 0:0
overlays/dwc2.dtbo 644 0:0
`,
  )
  assert.deepEqual(await compareTree(manifest, out, task), [])
  assert.ok(
    Math.abs(statSync(join(out, 'empty')).mtimeMs - statSync(join(folder, 'in', 'empty')).mtimeMs) < 2001,
  )
})
