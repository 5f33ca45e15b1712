/** The used ranges of a volume are exactly what dumpe2fs does not list as free. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { mergeRanges } from '../../src/disk/blocks.ts'
import { readUsage } from '../../src/disk/ext4/usage.ts'
import { GiB, KiB, MiB } from '../../src/units.ts'
import { complement, freeRanges } from '../support/ext4-free.ts'
import { debugfs, featureSets, makeVolume, openVolumeFile, type VolumeFile } from '../support/ext4-images.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'

/** Files of many sizes, to be put into a volume by `mke2fs -d`. */
function makeTree(t: TestContext): string {
  const folder = tempFolder(t)
  for (let d = 0; d < 5; d += 1) {
    mkdirSync(join(folder, `d${d}`))
    for (let f = 0; f < 40; f += 1)
      writeFileSync(join(folder, `d${d}`, `f${f}`), Buffer.alloc(f * 1500 + d, 65 + f))
  }
  return folder
}

async function judge(t: TestContext, file: VolumeFile, extraBytes = 0): Promise<void> {
  const free = freeRanges(t, file)
  if (free === undefined) return
  assert.ok(free.length > 0, 'dumpe2fs lists free blocks')
  const usage = await readUsage(await openVolumeFile(t, file, extraBytes))
  assert.deepEqual(usage.doubts, [])
  assert.deepEqual(usage.used, complement(free, file.bytes + extraBytes))
  assert.equal(
    usage.usedBytes,
    usage.used.reduce((sum, range) => sum + range.length, 0),
  )
}

for (const { name, args } of featureSets) {
  test(`usage of ${name}: empty, 300 MiB and a half block`, async (t) => {
    const file = makeVolume(t, 300 * MiB + 512, args)
    if (file !== undefined) await judge(t, file)
  })
  test(`usage of ${name}: files, some deleted, partition longer than the volume`, async (t) => {
    const file = makeVolume(t, 64 * MiB, [...args, '-d', makeTree(t)])
    if (file === undefined) return
    // debugfs waits ten seconds before it changes a volume with multiple mount protection.
    if (name !== 'mmp') debugfs(file, ...Array.from({ length: 20 }, (_, i) => `rm /d1/f${i * 2}`))
    await judge(t, file, 3 * MiB + 512)
  })
}

test('usage of a new 2 GiB volume with groups that were never initialised', async (t) => {
  const file = makeVolume(t, 2 * GiB, ['-t', 'ext4'])
  if (file === undefined) return
  assert.match(run('dumpe2fs', [file.path]).stdout, /BLOCK_UNINIT/)
  await judge(t, file)
})

test('usage: short free runs can count as used', async (t) => {
  const file = makeVolume(t, 64 * MiB, ['-t', 'ext4', '-d', makeTree(t)])
  if (file === undefined) return
  const reader = await openVolumeFile(t, file)
  const exact = await readUsage(reader)
  const coarse = await readUsage(reader, { leastFreeBytes: 256 * KiB })
  const long = complement(exact.used, file.bytes).filter((range) => range.length >= 256 * KiB)
  assert.deepEqual(coarse.used, complement(long, file.bytes))
})

/** Volumes that must not be skipped in, each with the reason that is given. */
const doubtful: { name: string; change: (file: VolumeFile) => void; doubt: RegExp }[] = [
  { name: 'journal to replay', change: (file) => debugfs(file, 'feature needs_recovery'), doubt: /journal/ },
  { name: 'not unmounted', change: (file) => debugfs(file, 'set_super_value state 0'), doubt: /unmounted/ },
  { name: 'errors seen', change: (file) => debugfs(file, 'set_super_value state 3'), doubt: /unmounted/ },
  { name: 'no ext4', change: (file) => patch(file, 1024 + 0x38, 0), doubt: /magic number/ },
  {
    name: 'superblock damaged',
    change: (file) => patch(file, 1024 + 0x78, 65),
    doubt: /checksum of the superblock/,
  },
  {
    name: 'descriptor damaged',
    change: (file) => patch(file, 4096 + 0x0c, 1),
    doubt: /descriptor of group 0/,
  },
]
for (const { name, change, doubt } of doubtful) {
  test(`usage: all is used: ${name}`, async (t) => {
    const file = makeVolume(t, 64 * MiB, ['-t', 'ext4', '-b', '4096'])
    if (file === undefined) return
    change(file)
    const usage = await readUsage(await openVolumeFile(t, file))
    assert.deepEqual(usage.used, [{ offset: 0, length: 64 * MiB }])
    assert.equal(usage.doubts.length, 1)
    assert.match(usage.doubts[0] ?? '', doubt)
  })
}

function patch(file: VolumeFile, offset: number, value: number): void {
  const bytes = readFileSync(file.path)
  bytes[offset] = value
  writeFileSync(file.path, bytes)
}

/** The block in which the bitmap of a group lies, by dumpe2fs. */
function bitmapBlock(file: VolumeFile, group: number): number {
  const [, block] =
    new RegExp(`Group ${group}:[^]*?Block bitmap at (\\d+)`).exec(run('dumpe2fs', [file.path]).stdout) ?? []
  return Number(block)
}

for (const { name, args, doubt } of [
  {
    name: 'checksum',
    args: ['-t', 'ext4', '-b', '4096'],
    doubt: /group 1: the checksum of the block bitmap is wrong/,
  },
  { name: 'number of free blocks', args: ['-t', 'ext2', '-b', '4096'], doubt: /group 1: \d+ free clusters/ },
]) {
  test(`usage: a bitmap with a wrong ${name} makes its group used, and only that`, async (t) => {
    const file = makeVolume(t, 300 * MiB, args)
    if (file === undefined) return
    const bytes = readFileSync(file.path)
    const before = await readUsage(memoryReader(bytes))
    const at = bitmapBlock(file, 1) * 4096 + 2000
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
    const after = await readUsage(memoryReader(bytes))
    assert.match(after.doubts.join('\n'), doubt)
    const group = { offset: 128 * MiB, length: 128 * MiB }
    assert.deepEqual(after.used, mergeRanges([...before.used, group]))
    assert.ok(after.usedBytes > before.usedBytes)
  })
}

test('usage: what is too small for a superblock is used', async () => {
  assert.deepEqual((await readUsage(memoryReader(new Uint8Array(1500)))).used, [{ offset: 0, length: 1500 }])
  assert.deepEqual((await readUsage(memoryReader(new Uint8Array(0)))).used, [])
})
