/** Archives in and out, with GNU tar on the other side. */
import assert from 'node:assert/strict'
import { createWriteStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pack } from 'tar-stream'
import { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { FormatError } from '../../src/errors.ts'
import { openFileReader } from '../../src/io/file-reader.ts'
import { compareTree } from '../../src/tree/compare-tree.ts'
import { extractArchive } from '../../src/tree/extract-archive.ts'
import { MiB } from '../../src/units.ts'
import * as fat from '../disk/fat/judges.ts'
import { makeVolume, openVolumeFile } from '../support/ext4-images.ts'
import { withMount } from '../support/ext4-mount.ts'
import { fillTree } from '../support/ext4-tree.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { assertSameTree, canJudge, describeTree } from './mounted.ts'
import { type TarSource, writeTar } from './write-tar.ts'

/** By GNU tar, as the README tells people to. */
function untar(archive: string, folder: string): void {
  mkdirSync(folder)
  const args = ['-xpf', archive, '-C', folder, '--numeric-owner', '--xattrs', '--xattrs-include=*']
  // The tree has files of the years 1902 and 2440.
  args.push('--warning=no-timestamp')
  const ran = run('tar', args)
  assert.deepEqual([ran.status, ran.stderr], [0, ''])
}

async function tarOf(source: TarSource, path: string) {
  const out = createWriteStream(path)
  const manifest = await writeTar(source, out, recordTask())
  await new Promise((resolve) => out.end(resolve))
  return manifest
}

test('a tar holds everything but sockets, and comes back as the same tree', async (t) => {
  if (!canJudge(t)) return
  const file = makeVolume(t, 64 * MiB, ['-t', 'ext4', '-b', '4096'])
  if (file === undefined) return
  await withMount(file, 'rw', async (folder) => {
    await fillTree(folder, { blockBytes: 4096, largeXattrs: false, names: 50 })
    run('rm', [join(folder, 'socket'), join(folder, 'hole')])
    const deep = join(folder, ...Array.from({ length: 12 }, (_, i) => `${i}`.repeat(40)))
    mkdirSync(deep, { recursive: true })
    writeFileSync(join(deep, 'x'.repeat(200)), 'deep')
    run('chown', ['3000000:4000000000', join(folder, 'first')])
  })
  const volume = await Ext4Volume.open(await openVolumeFile(t, file))
  const folder = tempFolder(t)
  const archive = join(folder, 'root.tar')
  const manifest = await tarOf({ root: volume }, archive)
  await tarOf({ root: volume }, join(folder, 'again.tar'))
  assert.ok(readFileSync(archive).equals(readFileSync(join(folder, 'again.tar'))), 'the same bytes again')

  untar(archive, join(folder, 'gnu'))
  const expected = await withMount(file, 'ro', (mounted) => describeTree(mounted))
  assertSameTree(describeTree(join(folder, 'gnu')), expected)
  assert.deepEqual(await compareTree(manifest, join(folder, 'gnu'), recordTask()), [])

  const back = await extractArchive(archive, join(folder, 'ours'), recordTask())
  assertSameTree(describeTree(join(folder, 'ours')), expected)
  assert.deepEqual(back, manifest)
})

test('boot partition and root in one tar, in each other', async (t) => {
  if (!needRoot(t) || !fat.needJudges(t)) return
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'overlays'))
  writeFileSync(join(folder, 'overlays', 'dwc2.dtbo'), 'blob')
  writeFileSync(join(folder, 'config.txt'), 'arm_64bit=1\n')
  const bootPath = fat.makeVolume(t, { name: 'FAT16', bytes: 16 * MiB, args: ['-F', '16'] })
  fat.mcopyIn(bootPath, [join(folder, 'config.txt'), join(folder, 'overlays')])
  const tree = join(folder, 'tree')
  mkdirSync(join(tree, 'boot', 'firmware'), { recursive: true })
  writeFileSync(join(tree, 'boot', 'firmware', 'hidden by the mount'), '')
  mkdirSync(join(tree, 'etc'))
  const file = makeVolume(t, 16 * MiB, ['-t', 'ext4', '-d', tree])
  if (file === undefined) return
  const bootReader = await openFileReader(bootPath)
  t.after(() => bootReader.close())
  const root = await Ext4Volume.open(await openVolumeFile(t, file))
  const boot = { volume: await FatVolume.open(bootReader), path: 'boot/firmware' }
  const manifest = await tarOf({ root, boot }, join(folder, 'both.tar'))
  assert.deepEqual(
    manifest.entries.map(({ path }) => path),
    [
      '',
      'boot',
      'boot/firmware',
      'boot/firmware/config.txt',
      'boot/firmware/overlays',
      'boot/firmware/overlays/dwc2.dtbo',
      'etc',
      'lost+found',
    ],
  )
  untar(join(folder, 'both.tar'), join(folder, 'out'))
  assert.equal(readFileSync(join(folder, 'out/boot/firmware/config.txt'), 'utf8'), 'arm_64bit=1\n')
  assert.deepEqual(await compareTree(manifest, join(folder, 'out'), recordTask()), [])
})

/** A folder with what GNU's own format stores in a way of its own. */
function gnuTree(t: TestContext): string {
  const folder = tempFolder(t)
  const long = join(folder, 'long '.repeat(30), 'longer '.repeat(25))
  mkdirSync(long, { recursive: true })
  writeFileSync(join(long, 'file'), Buffer.alloc(100_000, 'x'))
  run('ln', ['-s', 'y'.repeat(300), join(folder, 'link')])
  run('ln', [join(long, 'file'), join(folder, 'second name')])
  run('mknod', [join(folder, 'device'), 'b', '300', '70000'])
  run('chown', ['3000000:4000000000', join(folder, 'second name')])
  run('touch', ['-h', '-d', '1969-01-02 03:04:05', join(folder, 'link')])
  writeFileSync(join(folder, 'näme'), '')
  return folder
}

for (const format of ['gnu', 'posix', 'ustar', 'v7'] as const) {
  test(`GNU tar's own archives are read: ${format}`, async (t) => {
    if (!needRoot(t) || needTool(t, 'xz', 'xz-utils') === undefined) return
    const tree = gnuTree(t)
    if (format === 'ustar' || format === 'v7') {
      // They can't say more.
      run('rm', ['-r', join(tree, 'link'), join(tree, 'long '.repeat(30)), join(tree, 'second name')])
      if (format === 'v7') run('rm', [join(tree, 'device')])
    }
    run('bash', ['-c', 'find "$0" -exec touch -h -d "$(date -d @1700000000)" {} +', tree])
    const folder = tempFolder(t)
    const archive = join(folder, '2025-11-24-lite-usbboot.tar.xz')
    const script = `set -o pipefail; tar -c -C "$0" --format=${format} . | xz -1 > "$1"`
    const packed = run('bash', ['-c', script, tree, archive])
    assert.equal(packed.status, 0, packed.stderr)
    const manifest = await extractArchive(archive, join(folder, 'root'), recordTask())
    assertSameTree(describeTree(join(folder, 'root')), describeTree(tree))
    assert.deepEqual(await compareTree(manifest, tree, recordTask()), [])
  })
}

interface Member {
  name: string
  type?: 'file' | 'directory' | 'symlink' | 'link'
  linkname?: string
}

async function craft(path: string, members: readonly Member[]): Promise<void> {
  const archive = pack()
  for (const member of members)
    archive.entry({ mtime: new Date(0), ...member }, member.type === undefined ? 'evil' : '')
  archive.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of archive) chunks.push(chunk as Uint8Array)
  writeFileSync(path, Buffer.concat(chunks))
}

const directory = (name: string): Member => ({ name, type: 'directory' })
const symlink = (name: string, linkname: string): Member => ({ name, type: 'symlink', linkname })

const hostile: { name: string; members: Member[]; says: RegExp }[] = [
  { name: 'a file above', members: [{ name: '../evil' }], says: /leads out of the folder/ },
  { name: 'a file above, later', members: [{ name: './a/../../evil' }], says: /leads out of the folder/ },
  { name: 'an absolute file', members: [{ name: '/evil' }], says: /absolute name/ },
  { name: 'through a link', members: [symlink('a', '..'), { name: 'a/evil' }], says: /which is a symlink/ },
  {
    name: 'through a link in the place of a directory',
    members: [directory('a'), symlink('a', '..'), { name: 'a/evil' }],
    says: /there twice/,
  },
  {
    name: 'a directory in the place of a link',
    members: [symlink('a', '..'), directory('a'), { name: 'a/evil' }],
    says: /there twice/,
  },
  {
    name: 'a file in the place of a link',
    members: [symlink('evil', '../evil'), { name: 'evil' }],
    says: /twice/,
  },
  {
    name: 'a hard link to above',
    members: [{ name: 'a', type: 'link', linkname: '../outside' }],
    says: /leads out/,
  },
  {
    name: 'a hard link to an absolute file',
    members: [{ name: 'a', type: 'link', linkname: '/etc/passwd' }],
    says: /absolute/,
  },
  {
    name: 'a hard link to what is not there',
    members: [{ name: 'a', type: 'link', linkname: 'outside' }],
    says: /which is not a file before it/,
  },
  { name: 'a file in a file', members: [{ name: 'a' }, { name: 'a/evil' }], says: /which is a file/ },
]

for (const { name, members, says } of hostile) {
  test(`nothing is written outside of the folder: ${name}`, async (t) => {
    const folder = tempFolder(t)
    mkdirSync(join(folder, 'in'))
    writeFileSync(join(folder, 'in', 'outside'), 'untouched')
    const archive = join(folder, 'x.tar')
    await craft(archive, members)
    const extraction = extractArchive(archive, join(folder, 'in', 'root'), recordTask(), { owners: false })
    await assert.rejects(extraction, (error) => {
      assert.ok(error instanceof FormatError, String(error))
      assert.match(error.message, says)
      return true
    })
    assert.deepEqual(readdirSync(folder).sort(), ['in', 'x.tar'])
    assert.deepEqual(readdirSync(join(folder, 'in')), ['outside'])
    assert.equal(readFileSync(join(folder, 'in', 'outside'), 'utf8'), 'untouched')
  })
}

test('names that look odd and are none the worse', async (t) => {
  const folder = tempFolder(t)
  const archive = join(folder, 'x.tar')
  await craft(archive, [{ name: './/a//b' }, { name: '..c' }, symlink('up', '../../..'), { name: 'a/.../d' }])
  await extractArchive(archive, join(folder, 'root'), recordTask(), { owners: false })
  const found = run('find', [join(folder, 'root'), '-printf', '%P\n'])
    .stdout.trim()
    .split('\n')
  assert.deepEqual(found.sort(), ['..c', 'a', 'a/...', 'a/.../d', 'a/b', 'up'])
})

test('an archive that is cut off or damaged anywhere leaves nothing behind', async (t) => {
  const folder = tempFolder(t)
  await craft(join(folder, 'whole.tar'), [directory('a'), { name: 'a/b' }, { name: 'a/c' }])
  const whole = readFileSync(join(folder, 'whole.tar'))
  const flipped = Buffer.from(whole)
  flipped[512 + 5] = 0x58
  const cases = {
    cut: whole.subarray(0, 1400),
    'no end': whole.subarray(0, -1024),
    flipped,
    empty: Buffer.alloc(0),
  }
  for (const [name, bytes] of Object.entries(cases)) {
    const archive = join(folder, 'broken.tar')
    writeFileSync(archive, bytes)
    const extraction = extractArchive(archive, join(folder, 'root'), recordTask(), { owners: false })
    await assert.rejects(extraction, FormatError, name)
    assert.deepEqual(readdirSync(folder).sort(), ['broken.tar', 'whole.tar'], name)
  }
})
