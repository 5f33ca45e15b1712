/** The reader and the kernel see the same tree, on every layout that mke2fs can make. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  type BigIntStats,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Range } from '../../src/disk/blocks.ts'
import { isInline } from '../../src/disk/ext4/content.ts'
import { dataRuns } from '../../src/disk/ext4/file-map.ts'
import { Groups } from '../../src/disk/ext4/group.ts'
import { FLAG_INDEXED, type Inode, type Timestamp } from '../../src/disk/ext4/inode.ts'
import { METADATA_PAGES, PageCache } from '../../src/disk/ext4/page-cache.ts'
import { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import { GiB, MiB } from '../../src/units.ts'
import { complement, freeRanges } from '../support/ext4-free.ts'
import { featureSets, makeVolume, openVolumeFile } from '../support/ext4-images.ts'
import { withMount } from '../support/ext4-mount.ts'
import { fillTree, SPARSE_RUNS } from '../support/ext4-tree.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

/** Paths as latin1, so that any bytes are keys; the root is ''. */
function listMounted(folder: string): Map<string, BigIntStats> {
  const found = new Map<string, BigIntStats>()
  const visit = (path: string) => {
    const full = Buffer.from(`${folder}/${path}`, 'latin1')
    const stat = lstatSync(full, { bigint: true })
    found.set(path, stat)
    if (!stat.isDirectory()) return
    for (const name of readdirSync(full, { encoding: 'buffer' }))
      visit(path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`)
  }
  visit('')
  return found
}

const nanoseconds = (time: Timestamp) => BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanoseconds)

function statOf(inode: Inode) {
  return {
    ino: BigInt(inode.ino),
    mode: BigInt(inode.mode),
    uid: BigInt(inode.uid),
    gid: BigInt(inode.gid),
    size: BigInt(inode.size),
    links: BigInt(inode.links),
    blocks: BigInt(inode.blocks),
    rdev: [inode.rdev.major, inode.rdev.minor],
    atime: nanoseconds(inode.atime),
    mtime: nanoseconds(inode.mtime),
    ctime: nanoseconds(inode.ctime),
    crtime: inode.crtime === undefined ? undefined : nanoseconds(inode.crtime),
  }
}

function statMounted(stat: BigIntStats, hasCrtime: boolean): ReturnType<typeof statOf> {
  const device = Number(stat.rdev)
  return {
    ino: stat.ino,
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    size: stat.size,
    links: stat.nlink,
    blocks: stat.blocks,
    // glibc's dev_t below 2^44: 8 low and 12 high bits of minor around 12 bits of major.
    rdev: [Math.floor(device / 256) % 4096, (device % 256) + Math.floor(device / 2 ** 20) * 256],
    atime: stat.atimeNs,
    mtime: stat.mtimeNs,
    ctime: stat.ctimeNs,
    crtime: hasCrtime ? stat.birthtimeNs : undefined,
  }
}

/** Attributes of all files by path, as hex. */
function mountedXattrs(folder: string): Map<string, Record<string, string>> {
  const ran = run('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', folder])
  assert.equal(ran.status, 0, ran.stderr)
  const found = new Map<string, Record<string, string>>()
  for (const block of ran.stdout.split('\n\n')) {
    const [header, ...lines] = block.trim().split('\n')
    if (header === undefined || header === '') continue
    const escaped = header.slice('# file: '.length)
    const path = escaped.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    const pairs = lines.map((line) => [line.split('=')[0] ?? '', (line.split('=0x')[1] ?? '').toLowerCase()])
    found.set(path.slice(folder.length + 1), Object.fromEntries(pairs))
  }
  return found
}

async function digestOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

async function* mountedChunks(path: Buffer): AsyncGenerator<Uint8Array> {
  const file = openSync(path, 'r')
  try {
    const chunk = Buffer.alloc(MiB)
    for (let count = readSync(file, chunk); count > 0; count = readSync(file, chunk))
      yield chunk.subarray(0, count)
  } finally {
    closeSync(file)
  }
}

function isCovered(by: readonly Range[], range: Range): boolean {
  return by.some((r) => r.offset <= range.offset && range.offset + range.length <= r.offset + r.length)
}

for (const { name, args } of featureSets.filter((set) => set.mounts !== false)) {
  test(`a full tree equals the mounted one: ${name}`, async (t) => {
    if (!needRoot(t)) return
    for (const [tool, debianPackage] of [
      ['getfattr', 'attr'],
      ['setfacl', 'acl'],
      ['setcap', 'libcap2-bin'],
    ] as const)
      if (needTool(t, tool, debianPackage) === undefined) return
    const file = makeVolume(t, 64 * MiB, args)
    if (file === undefined) return
    const reader = await openVolumeFile(t, file)
    const { superblock } = await Ext4Volume.open(reader)
    const { blockBytes, features } = superblock
    const indexed = name !== 'ext2 revision 0'
    const options = { blockBytes, largeXattrs: features.has('ea_inode'), names: 3000 }
    await withMount(file, 'rw', (folder) => fillTree(folder, options))

    const volume = await Ext4Volume.open(reader)
    const usage = await volume.usage()
    assert.deepEqual(usage.doubts, [])
    assert.deepEqual(usage.used, complement(freeRanges(t, file) ?? [], file.bytes))

    await withMount(file, 'ro', async (folder) => {
      const mounted = listMounted(folder)
      const attributes = mountedXattrs(folder)
      const paths: string[] = []
      for await (const { rawPath, path, inode } of volume.walk()) {
        const key = rawPath.toString('latin1')
        paths.push(key)
        const full = Buffer.from(`${folder}/${key}`, 'latin1')
        const stat = mounted.get(key)
        assert.ok(stat !== undefined, `${path} is mounted as well`)
        assert.deepEqual(statOf(inode), statMounted(stat, inode.crtime !== undefined), path)
        const xattrs = (await volume.xattrs(inode)).map((x) => [x.name, x.value.toString('hex')])
        assert.deepEqual(Object.fromEntries(xattrs), attributes.get(key) ?? {}, path)
        if (inode.type === 'symlink')
          assert.deepEqual(await volume.readLink(inode), readlinkSync(full, { encoding: 'buffer' }), path)
        if (inode.type !== 'file') continue
        if (inode.size < GiB)
          assert.equal(await digestOf(volume.readFile(inode)), await digestOf(mountedChunks(full)), path)
      }
      // The tree is of no use if the kernel found simple ways to store it.
      assert.equal(((await volume.lookup('many'))?.flags ?? 0) & FLAG_INDEXED, indexed ? FLAG_INDEXED : 0)
      const inOrder = [...mounted.keys()].sort((a, b) => comparePaths(a, b))
      assert.deepEqual(paths, inOrder)
      assert.ok(paths.length > 2600)
    })

    await judgeHoles(volume, blockBytes)
    await judgeLookup(volume)
    const cache = new PageCache(reader, METADATA_PAGES)
    const parts = { content: reader, cache, superblock, groups: new Groups(cache, superblock) }
    for await (const { path, inode } of volume.walk()) {
      if (inode.type !== 'file' || isInline(inode)) continue
      for await (const { source, length } of dataRuns(parts, inode))
        assert.ok(isCovered(usage.used, { offset: source, length }), `${path} lies in used bytes`)
    }
  })
}

/** Byte order of each component, a directory before its contents. */
function comparePaths(a: string, b: string): number {
  const left = a.split('/').map((part) => Buffer.from(part, 'latin1'))
  const right = b.split('/').map((part) => Buffer.from(part, 'latin1'))
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const order = Buffer.compare(left[i] as Buffer, right[i] as Buffer)
    if (order !== 0) return order
  }
  return a === '' ? -1 : b === '' ? 1 : left.length - right.length
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function judgeHoles(volume: Ext4Volume, blockBytes: number): Promise<void> {
  const find = async (path: string) => {
    const inode = await volume.lookup(path)
    assert.ok(inode !== undefined, path)
    return inode
  }
  const sparse = await find('sparse')
  const runs = await collect(volume.extentsOf(sparse))
  const last = (SPARSE_RUNS - 1) * 3 * blockBytes
  assert.equal(runs.length, SPARSE_RUNS)
  assert.deepEqual(runs[1], { offset: 3 * blockBytes, length: blockBytes })
  assert.deepEqual(runs.at(-1), { offset: last, length: `run ${SPARSE_RUNS - 1}`.length })
  const part = await volume.readData(sparse, 300 * blockBytes - 2, 10)
  assert.equal(part.toString('latin1'), '\0\0run 100\0')

  const small = await find('first')
  assert.equal((await volume.readData(small, 4, 10)).toString(), 'ed')
  for (const offset of [6, 7, 10_000]) assert.equal((await volume.readData(small, offset, 10)).length, 0)
  await assert.rejects(volume.readData(await find('fifo'), 0, 1), /is a fifo/)

  const hole = await find('/hole')
  assert.deepEqual(
    (await collect(volume.extentsOf(hole))).map((run) => run.offset),
    [0, 5 * GiB],
  )
  assert.equal((await volume.readData(hole, 5 * GiB - 1, 5)).toString('latin1'), '\0end\0')
  assert.equal((await volume.readData(hole, hole.size - 3, 100)).length, 3)
  assert.equal((await volume.readData(hole, hole.size + 3, 100)).length, 0)
}

async function judgeLookup(volume: Ext4Volume): Promise<void> {
  const first = await volume.lookup('first')
  assert.equal((await volume.lookup('/folders/third'))?.ino, first?.ino)
  assert.equal((await volume.lookup('link'))?.type, 'symlink')
  assert.equal((await volume.lookup('link', { follow: true }))?.ino, first?.ino)
  assert.equal(await volume.lookup('absolute/name-1'), undefined)
  assert.equal((await volume.lookup('absolute/../../../../folders/3/name-1', { follow: true }))?.size, 1)
  assert.equal(await volume.lookup('first/nothing'), undefined)
  assert.equal(await volume.lookup('absent'), undefined)
  assert.equal((await volume.lookup('/'))?.ino, 2)
  await assert.rejects(volume.lookup('circle', { follow: true }), /more than 40 symbolic links/)
}

for (const { name, args } of featureSets) {
  test(`a tree put in by mke2fs is read back: ${name}`, async (t) => {
    const folder = tempFolder(t)
    mkdirSync(join(folder, 'sub'))
    for (const size of [0, 10, 70, 5000, 300_000])
      writeFileSync(join(folder, 'sub', `${size}`), Buffer.alloc(size, size))
    symlinkSync('sub/70', join(folder, 'link'))
    const file = makeVolume(t, 16 * MiB, [...args, '-d', folder])
    if (file === undefined) return
    const volume = await Ext4Volume.open(await openVolumeFile(t, file))
    const found: string[] = []
    for await (const { path, inode } of volume.walk()) {
      found.push(path)
      if (inode.type === 'file')
        assert.deepEqual(
          await collect(volume.readFile(inode)).then(Buffer.concat),
          readFileSync(join(folder, path)),
        )
    }
    const sizes = ['0', '10', '300000', '5000', '70'].map((size) => `sub/${size}`)
    assert.deepEqual(found, ['', 'link', 'lost+found', 'sub', ...sizes])
    assert.equal((await volume.lookup('link', { follow: true }))?.size, 70)
  })
}
