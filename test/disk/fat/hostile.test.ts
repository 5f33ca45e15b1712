/** Volumes that lie: every one ends in a FormatError that says where, none hangs. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { Changes } from '../../../src/disk/changes.ts'
import { readBootSector } from '../../../src/disk/fat/boot-sector.ts'
import { FatVolume } from '../../../src/disk/fat/volume.ts'
import { FormatError, PiimageError } from '../../../src/errors.ts'
import { openFileReader } from '../../../src/io/file-reader.ts'
import { KiB, MiB } from '../../../src/units.ts'
import { memoryReader } from '../../support/memory-reader.ts'
import { tempFolder } from '../../support/temp.ts'
import { run } from '../../support/tools.ts'
import { makeVolume, needJudges, type Shape } from './judges.ts'

const modified = new Date(Date.UTC(2025, 0, 1))
const small: Shape[] = [
  { name: 'FAT12', bytes: 256 * KiB, args: ['-F', '12', '-r', '32'] },
  { name: 'FAT16', bytes: 4 * MiB, args: ['-F', '16', '-s', '1', '-r', '32'] },
  { name: 'FAT32', bytes: 1 * MiB, args: ['-F', '32', '-s', '1'] },
]
const [, , FAT32] = small as [Shape, Shape, Shape]

/** A small volume in memory with a few files: FILE.BIN (4 clusters), folder/inner/a-long-name. */
async function makeSmall(t: TestContext, shape: Shape): Promise<Uint8Array> {
  const reader = await openFileReader(makeVolume(t, shape))
  const bytes = Uint8Array.from(await reader.read(0, reader.length))
  await reader.close()
  const changes = new Changes(memoryReader(bytes))
  const volume = await FatVolume.open(changes)
  await volume.writeFile('FILE.BIN', new Uint8Array(4 * volume.clusterBytes).fill(7), { modified })
  await volume.mkdir('folder/inner', { modified })
  await volume.writeFile('folder/inner/a-long-name', new Uint8Array(700), { modified })
  return Uint8Array.from(await changes.read(0, changes.length))
}

/** Where things are on a volume, for breaking them. */
function layout(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer)
  const fat = view.getUint16(14, true) * 512
  const data = fat + 2 * view.getUint32(36, true) * 512
  return {
    view,
    setFat: (cluster: number, next: number) => view.setUint32(fat + cluster * 4, next, true),
    entryOffset: (cluster: number) => fat + cluster * 4,
    cluster: (cluster: number) => data + (cluster - 2) * 512,
  }
}
type Layout = ReturnType<typeof layout>

const readAll = async (volume: FatVolume): Promise<void> => {
  for await (const entry of volume.walk()) if (!entry.isDirectory) await volume.readFile(entry.path)
}

// On FAT32: root 2, FILE.BIN 3–6, folder 7, folder/inner 8, a-long-name 9–10. FILE.BIN is slot 1 of the root.
const broken: {
  name: string
  damage: (disk: Layout) => void
  act?: (volume: FatVolume) => Promise<unknown>
  message: RegExp
}[] = [
  {
    name: 'a file’s chain loops',
    damage: (disk) => disk.setFat(6, 4),
    act: (volume) => volume.remove('FILE.BIN'),
    message: /chain of FILE\.BIN loops \(FAT entry at byte \d+\)/,
  },
  {
    name: 'a file’s chain is its own successor',
    damage: (disk) => disk.setFat(3, 3),
    message: /chain of FILE\.BIN loops/,
  },
  {
    name: 'a file’s chain leaves the volume',
    damage: (disk) => disk.setFat(4, 0x0ffffff0),
    message: /FILE\.BIN runs into cluster 268435440, which does not exist \(FAT entry at byte 16400\)/,
  },
  {
    name: 'a file’s chain runs into a free cluster',
    damage: (disk) => disk.setFat(4, 0),
    message: /FILE\.BIN runs into a free cluster/,
  },
  {
    name: 'a file’s chain runs into a bad cluster',
    damage: (disk) => disk.setFat(4, 0x0ffffff7),
    message: /does not exist/,
  },
  {
    name: 'a file’s chain ends too early',
    damage: (disk) => disk.setFat(4, 0x0fffffff),
    message: /FILE\.BIN has 2048 bytes by its directory, but only 2 clusters of 512/,
  },
  {
    name: 'a file starts outside the volume',
    damage: ({ view, cluster }) => view.setUint16(cluster(2) + 32 + 20, 0x0fff, true),
    message: /FILE\.BIN starts at cluster 268369923, which does not exist/,
  },
  {
    name: 'a file of 4 GiB on a volume of 1 MiB',
    damage: ({ view, cluster }) => view.setUint32(cluster(2) + 32 + 28, 0xffffffff, true),
    message: /FILE\.BIN has 4294967295 bytes/,
  },
  {
    name: 'a folder contains its parent',
    damage: ({ view, cluster }) => view.setUint16(cluster(7) + 96 + 26, 7, true),
    message: /the folder folder\/inner shares cluster 7 with another folder/,
  },
  {
    name: 'a folder contains the root',
    damage: ({ view, cluster }) => view.setUint16(cluster(7) + 96 + 26, 2, true),
    message: /shares cluster 2 with another folder/,
  },
  {
    name: 'a folder’s chain loops',
    damage: (disk) => disk.setFat(8, 8),
    message: /chain of the folder folder\/inner loops/,
  },
  {
    name: 'a folder without clusters',
    damage: ({ view, cluster }) => view.setUint16(cluster(7) + 96 + 26, 0, true),
    message: /the folder folder\/inner starts at cluster 0/,
  },
  {
    name: 'the root’s chain loops',
    damage: (disk) => disk.setFat(2, 2),
    message: /chain of the root directory loops/,
  },
  {
    name: 'a folder is removed that shares clusters with another file',
    damage: ({ view, cluster }) => view.setUint16(cluster(8) + 96 + 26, 8, true),
    act: (volume) => volume.remove('folder'),
    message: /shares cluster 8 with another file/,
  },
  {
    name: 'a short name with a slash',
    damage: ({ view, cluster }) => view.setUint8(cluster(2) + 32 + 1, 0x2f),
    message: /the root directory has an entry without a usable name \(byte \d+ of the volume\)/,
  },
]
for (const { name, damage, act = readAll, message } of broken) {
  test(`a typed error when ${name}`, async (t) => {
    if (!needJudges(t)) return
    const bytes = await makeSmall(t, FAT32)
    damage(layout(bytes))
    const changes = new Changes(memoryReader(bytes))
    await assert.rejects(
      async () => act(await FatVolume.open(changes)),
      (error) => {
        assert.ok(error instanceof FormatError, String(error))
        assert.match(error.message, message)
        return true
      },
    )
    assert.equal(changes.sectorCount, 0, 'nothing was changed')
  })
}

/** Puts the volume into a file for fsck.fat and mtools. */
function onDisk(t: TestContext, bytes: Uint8Array): string {
  const path = join(tempFolder(t), 'volume.img')
  writeFileSync(path, bytes)
  return path
}

const impossible = ['/', '\x01', '\0'].entries()
for (const [index, character] of impossible)
  test(`one impossible name hides nothing else in its folder (${index})`, async (t) => {
    if (!needJudges(t)) return
    const bytes = await makeSmall(t, FAT32)
    const { view, cluster } = layout(bytes)
    view.setUint8(cluster(2) + 32 + 1, character.charCodeAt(0))
    const changes = new Changes(memoryReader(bytes))
    const volume = await FatVolume.open(changes)
    assert.deepEqual(
      (await volume.list('')).map(({ name }) => name),
      ['folder'],
    )
    assert.equal((await volume.readFile('folder/inner/a-long-name')).length, 700)
    const [doubt = ''] = await volume.doubts()
    assert.match(doubt, /the root directory has an entry without a usable name \(byte \d+ of the volume\)/)
    await assert.rejects(readAll(volume), FormatError, 'whoever copies everything is told')
    await volume.writeFile('new.txt', Buffer.from('new'), { modified })
    await assert.rejects(volume.remove('FILE.BIN'), FormatError)
    // The clusters of the entry that nobody can name are not given out.
    const after = Uint8Array.from(await changes.read(0, changes.length))
    const judged = run('fsck.fat', ['-n', onDisk(t, after)])
    assert.doesNotMatch(judged.stdout, /shared|Orphan|[Rr]eclaim/, judged.stdout)
  })

/** Clusters 3–6 are FILE.BIN's, 9–10 those of a-long-name. */
const ends: { name: string; free: readonly number[]; file: string; cluster: number }[] = [
  { name: 'the last of a chain', free: [6], file: 'FILE.BIN', cluster: 6 },
  { name: 'the only one of a file', free: [9, 10], file: 'folder/inner/a-long-name', cluster: 9 },
  { name: 'the last of a file in a folder', free: [10], file: 'folder/inner/a-long-name', cluster: 10 },
]
for (const { name, free, file, cluster: number } of ends)
  test(`a cluster that a file leads to is written, though its entry says free: ${name}`, async (t) => {
    if (!needJudges(t)) return
    const bytes = await makeSmall(t, FAT32)
    const { setFat, cluster } = layout(bytes)
    for (const one of free) setFat(one, 0)
    const changes = new Changes(memoryReader(bytes))
    const volume = await FatVolume.open(changes)
    const at = cluster(number)
    const used = await volume.usedRanges()
    assert.ok(
      used.some(({ offset, length }) => offset <= at && at + 512 <= offset + length),
      'it is used',
    )
    assert.match((await volume.doubts())[0] ?? '', /^\d clusters? (is|are) part of files and marked as free$/)
    const before = Buffer.from(bytes.subarray(at, at + 512))
    for (let count = 0; count < 3; count += 1)
      await volume.writeFile(`new${count}`, new Uint8Array(3000).fill(9), { modified })
    assert.ok(before.equals(await changes.read(at, 512)), `what ${file} holds is not overwritten`)
  })

test('a chain that jumps to a free cluster', async (t) => {
  if (!needJudges(t)) return
  for (const target of [12, 60, 300]) {
    const bytes = await makeSmall(t, FAT32)
    const { setFat, cluster } = layout(bytes)
    setFat(5, target)
    const volume = await FatVolume.open(memoryReader(bytes))
    const at = cluster(target)
    const used = await volume.usedRanges()
    assert.ok(used.some(({ offset, length }) => offset <= at && at + 512 <= offset + length))
    assert.equal((await volume.readFile('FILE.BIN')).length, 2048, 'read to its end, as Linux does')
  }
})

test('a healthy volume has no doubts', async (t) => {
  if (!needJudges(t)) return
  for (const shape of small)
    assert.deepEqual(await (await FatVolume.open(memoryReader(await makeSmall(t, shape)))).doubts(), [])
})

test('long names that hold separators, or belong to another entry, give way to the short one', async (t) => {
  if (!needJudges(t)) return
  const bytes = await makeSmall(t, FAT32)
  const { view, cluster } = layout(bytes)
  const names = async (): Promise<string[]> =>
    (await (await FatVolume.open(memoryReader(bytes))).list('folder/inner')).map((entry) => entry.name)
  assert.deepEqual(await names(), ['a-long-name'])
  const first = cluster(8) + 64
  view.setUint16(first + 3, 0x2f, true)
  assert.deepEqual(await names(), ['A-LONG~1'])
  view.setUint16(first + 3, 0x2d, true)
  view.setUint8(first + 13, view.getUint8(first + 13) ^ 1)
  assert.deepEqual(await names(), ['A-LONG~1'])
})

const refused: { name: string; at: number; bytes: number[]; message: RegExp }[] = [
  { name: 'exFAT', at: 3, bytes: [...Buffer.from('EXFAT   ')], message: /the volume is EXFAT, not FAT/ },
  { name: 'NTFS', at: 3, bytes: [...Buffer.from('NTFS    ')], message: /the volume is NTFS, not FAT/ },
  { name: 'no signature', at: 510, bytes: [0, 0], message: /no 55 AA at byte 510/ },
  {
    name: 'sectors of 4096 bytes',
    at: 11,
    bytes: [0, 16],
    message: /sectors of 4096 bytes \(byte 11\); only 512/,
  },
  { name: 'sectors of 513 bytes', at: 11, bytes: [1, 2], message: /513 bytes per sector \(byte 11/ },
  { name: 'no sectors per cluster', at: 13, bytes: [0], message: /0 sectors per cluster.*\(byte 13/ },
  { name: '3 sectors per cluster', at: 13, bytes: [3], message: /3 sectors per cluster/ },
  { name: 'no reserved sectors', at: 14, bytes: [0, 0], message: /no reserved sectors \(byte 14/ },
  { name: 'no FAT', at: 16, bytes: [0], message: /0 FATs/ },
  {
    name: 'a fixed root on FAT32',
    at: 17,
    bytes: [0, 2],
    message: /FAT32 volume with 512 fixed root entries/,
  },
  { name: 'no sectors', at: 19, bytes: [0, 0], message: /no sectors in the volume \(byte 32/ },
  {
    name: 'more sectors than the partition',
    at: 19,
    bytes: [1, 8],
    message: /claims 1049088 bytes.*has 1048576 \(byte 19/,
  },
  {
    name: 'a FAT larger than the volume',
    at: 36,
    bytes: [255, 255, 255, 255],
    message: /of a volume of 2048/,
  },
  { name: 'a FAT too small', at: 36, bytes: [1, 0, 0, 0], message: /1 sectors is too small for/ },
  { name: 'a FAT of nothing', at: 36, bytes: [0, 0, 0, 0], message: /a FAT of no sectors/ },
  { name: 'an unknown version', at: 42, bytes: [1, 0], message: /FAT32 version 1/ },
  { name: 'a root outside', at: 44, bytes: [0, 0, 1, 0], message: /cluster 65536 does not exist \(byte 44/ },
  { name: 'a FAT in use that is none', at: 40, bytes: [0x82, 0], message: /FAT 2 of 2 is said to be in use/ },
]
for (const { name, at, bytes, message } of refused) {
  test(`refuses a boot sector with ${name}`, async (t) => {
    if (!needJudges(t)) return
    const disk = await makeSmall(t, FAT32)
    disk.set(bytes, at)
    await assert.rejects(FatVolume.open(memoryReader(disk)), (error) => {
      assert.ok(error instanceof FormatError)
      assert.match(error.message, message)
      return true
    })
  })
}

test('any boot sector gives a geometry inside the volume, or a FormatError', () => {
  const plausible = fc.record({
    sectorsPerCluster: fc.constantFrom(0, 1, 2, 8, 128, 3),
    reserved: fc.constantFrom(0, 1, 32, 65535),
    fats: fc.constantFrom(0, 1, 2, 3),
    root: fc.constantFrom(0, 16, 512, 65535),
    total16: fc.constantFrom(0, 100, 65535),
    fat16: fc.constantFrom(0, 1, 200, 65535),
    total32: fc.nat(2 ** 32 - 1),
    fat32: fc.nat(2 ** 32 - 1),
    noise: fc.uint8Array({ minLength: 512, maxLength: 512 }),
    keepNoise: fc.boolean(),
    length: fc.integer({ min: 0, max: 2 ** 41 }),
  })
  fc.assert(
    fc.property(plausible, (p) => {
      const view = new DataView(p.noise.buffer)
      if (!p.keepNoise) {
        view.setUint16(11, 512, true)
        view.setUint8(13, p.sectorsPerCluster)
        view.setUint16(14, p.reserved, true)
        view.setUint8(16, p.fats)
        view.setUint16(17, p.root, true)
        view.setUint16(19, p.total16, true)
        view.setUint16(22, p.fat16, true)
        view.setUint32(32, p.total32, true)
        view.setUint32(36, p.fat32 % 2 ** (p.fat32 % 33), true)
        view.setUint16(42, 0, true)
        view.setUint32(44, 2, true)
        view.setUint16(510, 0xaa55, true)
      }
      try {
        const g = readBootSector(p.noise, p.length)
        assert.ok(g.fatOffset > 0 && g.fatOffset + g.fatCount * g.fatBytes <= g.rootOffset)
        assert.ok(g.rootOffset + g.rootEntries * 32 === g.dataOffset)
        assert.ok(g.clusterCount > 0 && g.dataOffset + g.clusterCount * g.clusterBytes <= g.volumeBytes)
        assert.ok(g.volumeBytes <= p.length)
      } catch (error) {
        assert.ok(error instanceof FormatError, String(error))
      }
    }),
    { numRuns: 3000, seed: 20250513 },
  )
})

for (const shape of small) {
  test(`random damage anywhere: ${shape.name}`, async (t) => {
    if (!needJudges(t)) return
    const whole = await makeSmall(t, shape)
    // Most of a volume is file data; aim at the boot sector, the FAT, FSInfo and directories.
    const interesting = await metadataOffsets(whole)
    const flip = fc.record({ at: fc.nat(interesting.length - 1), value: fc.nat(255) })
    await fc.assert(
      fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 8 }), async (flips) => {
        const bytes = whole.slice()
        for (const { at, value } of flips) bytes[interesting[at] as number] = value
        const changes = new Changes(memoryReader(bytes))
        await settle(async () => {
          const volume = await FatVolume.open(changes)
          await settle(() => readAll(volume))
          await settle(() => volume.usedRanges())
          await settle(() => volume.writeFile('FILE.BIN', new Uint8Array(9000), { modified }))
          await settle(() => volume.writeFile('folder/inner/a-long-name', new Uint8Array(10), { modified }))
          await settle(() => volume.mkdir('folder/inner/deeper/still', { modified }))
          await settle(() => volume.remove('folder'))
          await settle(() => volume.writeFile('another long name', new Uint8Array(3000), { modified }))
        })
      }),
      { numRuns: 400, seed: 7 },
    )
  })
}

/** Runs to its end, or fails in a way a person is told about. */
async function settle(act: () => Promise<unknown>): Promise<void> {
  try {
    await act()
  } catch (error) {
    assert.ok(error instanceof PiimageError, error instanceof Error ? error.stack : String(error))
  }
}

/** Offsets of the bytes that are not zero, and their neighbours: what a format reader acts on. */
async function metadataOffsets(bytes: Uint8Array): Promise<number[]> {
  const offsets = new Set<number>()
  bytes.forEach((value, at) => {
    if (value !== 0 && value !== 7) for (let near = at - 2; near <= at + 4; near += 1) offsets.add(near)
  })
  return [...offsets].filter((at) => at >= 0 && at < bytes.length)
}
