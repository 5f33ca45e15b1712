/** Volumes copied while they were mounted, as after a power cut: read as the kernel reads them once it has replayed the journal. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import { FormatError } from '../../src/errors.ts'
import { MiB } from '../../src/units.ts'
import { makeVolume, openVolumeFile, type VolumeFile } from '../support/ext4-images.ts'
import { withMount } from '../support/ext4-mount.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 12)
const JOURNAL_MAGIC = Buffer.from('c03b3998', 'hex')

/** Much that changes, is removed and is made anew in the same blocks, so that the log has revoked ones. */
function work(folder: string): void {
  const at = (...path: string[]) => join(folder, ...path)
  for (let round = 0; round < 4; round += 1) {
    for (let index = 0; index < 20; index += 1) {
      mkdirSync(at(`round${round}`, `folder${index}`), { recursive: true })
      writeFileSync(at(`round${round}`, `folder${index}`, 'file'), `${round} ${index}`.repeat(400))
    }
    run('sync', ['-f', folder])
    if (round > 0) run('rm', ['-r', at(`round${round - 1}`)])
    run('sync', ['-f', folder])
  }
  writeFileSync(at('magic'), Buffer.concat([JOURNAL_MAGIC, Buffer.alloc(9000, 7)]))
  run('ln', ['-s', 'x'.repeat(200), at('link')])
  run('mv', [at('round3', 'folder1'), at('moved')])
  run('chmod', ['0640', at('moved', 'file')])
}

/** @returns a copy made while the volume was mounted */
async function powerCut(t: TestContext, args: string[], data: string): Promise<VolumeFile | undefined> {
  const file = makeVolume(t, 48 * MiB, args)
  if (file === undefined) return undefined
  const copy = { path: join(tempFolder(t), 'copy.img'), bytes: file.bytes }
  run('tune2fs', ['-o', data, file.path])
  await withMount(file, 'rw', (folder) => {
    work(folder)
    run('sync', ['-f', folder])
    writeFileSync(join(folder, 'late'), 'not committed')
    copyFileSync(file.path, copy.path)
  })
  return copy
}

function describe(folder: string, below = ''): string[] {
  return readdirSync(join(folder, below)).flatMap((name) => {
    const path = join(below, name)
    const kind = lstatSync(join(folder, path))
    const mode = (kind.mode % 0o10000).toString(8)
    if (kind.isDirectory()) return [`${path}/ ${mode}`, ...describe(folder, path)]
    const content = kind.isSymbolicLink()
      ? readlinkSync(join(folder, path))
      : digest(readFileSync(join(folder, path)))
    return [`${path} ${kind.isSymbolicLink() ? '' : mode} ${content}`]
  })
}

async function describeVolume(volume: Ext4Volume): Promise<string[]> {
  const found: string[] = []
  for await (const { path, inode } of volume.walk()) {
    const mode = (inode.mode % 0o10000).toString(8)
    if (path === '') continue
    if (inode.type === 'directory') found.push(`${path}/ ${mode}`)
    else if (inode.type === 'symlink') found.push(`${path}  ${(await volume.readLink(inode)).toString()}`)
    else found.push(`${path} ${mode} ${digest(await volume.readData(inode, 0, inode.size))}`)
  }
  return found
}

const kinds: { name: string; args: string[]; data?: string }[] = [
  { name: 'ext4 as mke2fs makes it', args: ['-t', 'ext4'] },
  { name: 'with the contents in the journal', args: ['-t', 'ext4'], data: 'journal_data' },
  { name: 'of Raspberry Pi OS', args: ['-t', 'ext4', '-O', '^huge_file,^64bit,^metadata_csum'] },
  { name: '32-bit block numbers with checksums', args: ['-t', 'ext4', '-O', '^64bit,metadata_csum'] },
  { name: '1 KiB blocks, contents in the journal', args: ['-t', 'ext4', '-b', '1024'], data: 'journal_data' },
  { name: 'ext3', args: ['-t', 'ext3'] },
  { name: 'a small journal that goes round', args: ['-t', 'ext4', '-b', '1024', '-J', 'size=1'] },
]
for (const { name, args, data = 'journal_data_ordered' } of kinds)
  test(`a journal is read as the kernel replays it: ${name}`, async (t) => {
    if (!needRoot(t)) return
    const copy = await powerCut(t, args, data)
    if (copy === undefined) return
    const before = digest(readFileSync(copy.path))
    const volume = await Ext4Volume.open(await openVolumeFile(t, copy))
    assert.ok(volume.needsRecovery)
    assert.deepEqual(await volume.usedRanges(), [{ offset: 0, length: copy.bytes }], 'all of it is written')
    const ours = await describeVolume(volume)
    assert.equal(digest(readFileSync(copy.path)), before, 'the volume stays as it was')
    const kernels = await withMount(copy, 'rw', (folder) => describe(folder))
    assert.deepEqual(ours.toSorted(), kernels.toSorted())
    assert.ok(ours.length > 20)
    const replayed = await Ext4Volume.open(await openVolumeFile(t, copy))
    assert.equal(replayed.needsRecovery, false)
  })

test('a damaged journal ends in an error, or the volume reads as after fewer transactions', async (t) => {
  if (!needRoot(t)) return
  const copy = await powerCut(t, ['-t', 'ext4'], 'journal_data_ordered')
  if (copy === undefined) return
  const whole = readFileSync(copy.path)
  const blocks: number[] = []
  for (let at = 0; at < whole.length; at += 4096)
    if (whole.subarray(at, at + 4).equals(JOURNAL_MAGIC)) blocks.push(at)
  assert.ok(blocks.length > 2)
  for (const at of blocks)
    for (const [offset, value] of [
      [4, 9],
      [8, 0xff],
      [12, 0xff],
      [18, 0x55],
      [4092, 0x33],
    ] as const) {
      const bytes = Buffer.from(whole)
      bytes[at + offset] = value
      const volume = await Ext4Volume.open(memoryReader(bytes))
      try {
        await describeVolume(volume)
      } catch (error) {
        assert.ok(error instanceof FormatError, String(error))
      }
      assert.deepEqual(await volume.usedRanges(), [{ offset: 0, length: bytes.length }])
    }
})
