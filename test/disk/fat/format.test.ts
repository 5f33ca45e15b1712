/** Volumes that we format, judged by fsck.fat, mtools and our own reader. */
import assert from 'node:assert/strict'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Changes } from '../../../src/disk/changes.ts'
import { formatFat32 } from '../../../src/disk/fat/format.ts'
import { FatVolume } from '../../../src/disk/fat/volume.ts'
import { formatMbr, readMbr, readMbrDiskId } from '../../../src/disk/mbr.ts'
import { MiB } from '../../../src/units.ts'
import { memoryReader } from '../../support/memory-reader.ts'
import { tempFolder } from '../../support/temp.ts'
import { needTool, run } from '../../support/tools.ts'
import { applyChanges, needJudges } from './judges.ts'

/** 32 reserved sectors, two FATs of 512, 65525 clusters. */
const LEAST = (32 + 2 * 512 + 65_525) * 512
const modified = new Date('2025-12-05T01:02:04Z')

async function format(t: TestContext, bytes: number): Promise<string> {
  const path = join(tempFolder(t), 'volume.img')
  writeFileSync(path, '')
  truncateSync(path, bytes)
  const changes = new Changes(memoryReader(new Uint8Array(bytes)))
  await formatFat32(changes, { label: 'BOOTCODE', volumeId: 0x7a3f1c55, startSectors: 2048 })
  const volume = await FatVolume.open(changes)
  await volume.writeFile('bootcode.bin', Buffer.alloc(52_480, 'boot'), { modified })
  await volume.mkdir('overlays', { modified })
  await applyChanges(path, changes)
  return path
}

// The least that is FAT32, sizes around a FAT sector more, and the largest with clusters of a sector.
for (const bytes of [LEAST, 64 * MiB, 64 * MiB + 512, 64 * MiB + 130 * 512, 256 * MiB]) {
  test(`a FAT32 volume of ${bytes} bytes holds what it is given`, async (t) => {
    if (!needJudges(t)) return
    const path = await format(t, bytes)
    const checked = run('fsck.fat', ['-n', '-v', path])
    assert.equal(checked.status, 0, checked.stdout)
    assert.match(checked.stdout, /2 FATs, 32 bit entries/)
    const listed = run('mdir', ['-i', path, '::'])
    assert.match(listed.stdout, /Volume in drive : is BOOTCODE/)
    assert.match(listed.stdout, /Serial Number is 7A3F-1C55/)
    const out = join(tempFolder(t), 'bootcode.bin')
    assert.equal(run('mcopy', ['-i', path, '::bootcode.bin', out]).status, 0)
    assert.ok(readFileSync(out).equals(Buffer.alloc(52_480, 'boot')))
  })
}

test('too small for FAT32 is a mistake of ours', async () => {
  const changes = new Changes(memoryReader(new Uint8Array(LEAST - 512)))
  const options = { label: 'X', volumeId: 1, startSectors: 0 }
  await assert.rejects(formatFat32(changes, options), /would have 65524 clusters/)
})

test('a partition table that sfdisk reads as it was meant', (t) => {
  if (needTool(t, 'sfdisk', 'fdisk') === undefined) return
  const partitions = [
    { index: 1, type: 0x0c, offset: MiB, length: 64 * MiB },
    { index: 3, type: 0x83, offset: 65 * MiB, length: 512 },
  ]
  const sector = formatMbr('0badc0de', partitions)
  assert.deepEqual(readMbr(sector), partitions)
  assert.equal(readMbrDiskId(sector), '0badc0de')
  const path = join(tempFolder(t), 'disk.img')
  writeFileSync(path, sector)
  truncateSync(path, 66 * MiB)
  const dumped = run('sfdisk', ['-d', path]).stdout.replaceAll(/ +/g, ' ')
  assert.match(dumped, /label-id: 0x0badc0de/)
  assert.match(dumped, /1 : start= 2048, size= 131072, type=c\n/)
  assert.match(dumped, /3 : start= 133120, size= 1, type=83\n/)
  assert.throws(
    () => formatMbr('0', [...partitions, { index: 2, type: 1, offset: MiB, length: 512 }]),
    /overlap/,
  )
})
