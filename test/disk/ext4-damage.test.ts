/** Damaged and hostile volumes end in a FormatError that names a byte, or in a result; never in a hang or a bug. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import { FormatError } from '../../src/errors.ts'
import { MiB } from '../../src/units.ts'
import { debugfs, makeVolume } from '../support/ext4-images.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'

/** Volumes per layout; with a number of its own, a run also has seeds of its own. */
const RUNS = Number(process.env.PIIMAGE_FUZZ_RUNS ?? 150)

/** Everything a reader can do with a volume; the bytes read from files are bounded by the caller's patience. */
async function readEverything(bytes: Uint8Array): Promise<number> {
  const volume = await Ext4Volume.open(memoryReader(bytes))
  let entries = 0
  for await (const { inode } of volume.walk()) {
    entries += 1
    await volume.xattrs(inode)
    if (inode.type === 'symlink') await volume.readLink(inode)
    if (inode.type !== 'file') continue
    let left = 4 * MiB
    for await (const chunk of volume.readFile(inode)) {
      left -= chunk.length
      if (left < 0) break
    }
    let runs = 10_000
    for await (const _ of volume.extentsOf(inode)) {
      runs -= 1
      if (runs < 0) break
    }
  }
  return entries
}

/** A volume of 1 MiB with links, holes, an indexed directory, and attributes, as bytes. */
function makeSmallVolume(t: TestContext, args: readonly string[]): Buffer | undefined {
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'many'))
  for (let i = 0; i < 150; i += 1) writeFileSync(join(folder, 'many', `a name that fills blocks ${i}`), '')
  writeFileSync(join(folder, 'small'), 'small')
  const sparse = Buffer.alloc(60_000)
  for (let i = 0; i < 60; i += 3) sparse[i * 1000] = i + 1
  writeFileSync(join(folder, 'sparse'), sparse)
  symlinkSync('small', join(folder, 'link'))
  symlinkSync('x'.repeat(100), join(folder, 'slow-link'))
  const file = makeVolume(t, MiB, ['-b', '1024', '-N', '192', ...args, '-d', folder])
  if (file === undefined) return undefined
  debugfs(file, 'ea_set /small user.test value', 'ea_set /many user.folder another')
  const value = join(folder, 'value')
  writeFileSync(value, 'v'.repeat(300))
  debugfs(file, `ea_set -f ${value} /sparse user.long`)
  // Makes the directory a hash tree, as a kernel would.
  run('e2fsck', ['-fyD', file.path])
  return readFileSync(file.path)
}

const layouts: { name: string; args: readonly string[] }[] = [
  { name: 'ext2', args: ['-t', 'ext2'] },
  { name: 'extents without checksums', args: ['-t', 'ext4', '-O', '^has_journal,^metadata_csum'] },
  { name: 'extents with checksums', args: ['-t', 'ext4', '-O', '^has_journal,64bit,metadata_csum'] },
  { name: 'inline data', args: ['-t', 'ext4', '-O', '^has_journal,^metadata_csum,inline_data', '-I', '256'] },
]

for (const { name, args } of layouts) {
  test(`flipped bytes: ${name}`, async (t) => {
    const bytes = makeSmallVolume(t, args)
    if (bytes === undefined) return
    const entries = await readEverything(bytes)
    assert.ok(entries > 150)
    const used = nonZeroBytes(bytes)
    const flip = fc.record({ at: fc.nat(used.length - 1), xor: fc.integer({ min: 1, max: 255 }) })
    let refused = 0
    await fc.assert(
      fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 4 }), async (flips) => {
        const damaged = Buffer.from(bytes)
        for (const { at, xor } of flips) {
          const place = used[at] as number
          damaged[place] = (damaged[place] as number) ^ xor
        }
        try {
          await readEverything(damaged)
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
          refused += 1
        }
        const { usedBytes } = (await (await openOrNothing(damaged))?.usage()) ?? { usedBytes: 0 }
        assert.ok(usedBytes <= bytes.length)
      }),
      RUNS === 150 ? { numRuns: RUNS, seed: 20260101 } : { numRuns: RUNS },
    )
    assert.ok(refused > RUNS / 8, `${refused} of ${RUNS} were noticed`)
  })
}

async function openOrNothing(bytes: Uint8Array): Promise<Ext4Volume | undefined> {
  try {
    return await Ext4Volume.open(memoryReader(bytes))
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

/** Offsets of all bytes that are not zero: mostly metadata, as the files are small. */
function nonZeroBytes(bytes: Uint8Array): number[] {
  const offsets: number[] = []
  for (let at = 1024; at < bytes.length; at += 1) if (bytes[at] !== 0) offsets.push(at)
  return offsets
}

test('a volume that is cut short', async (t) => {
  const bytes = makeSmallVolume(t, ['-t', 'ext4', '-O', '^has_journal'])
  if (bytes === undefined) return
  for (const length of [0, 1, 1024, 2047, 2048, 4096, MiB / 2, MiB - 1])
    await assert.rejects(readEverything(bytes.subarray(0, length)), FormatError, `${length} bytes`)
})

const attributeMagic = Buffer.from([0, 0, 2, 0xea])

/** Turn the first extent block into an index block whose every entry is itself. */
function loopExtents(bytes: Buffer): void {
  let block = 0
  for (let at = 0; at < bytes.length; at += 1024) if (bytes.readUInt16LE(at) === 0xf30a) block = at / 1024
  assert.notEqual(block, 0)
  bytes.writeUInt16LE(1, block * 1024 + 6)
  for (let i = 0; i < bytes.readUInt16LE(block * 1024 + 2); i += 1) {
    bytes.writeUInt32LE(i, block * 1024 + 12 + i * 12)
    bytes.writeUInt32LE(block, block * 1024 + 16 + i * 12)
    bytes.writeUInt16LE(0, block * 1024 + 20 + i * 12)
  }
  // The inode's own node points to it: make its depth fit.
  for (let at = 0x28; at < bytes.length; at += 4) {
    const isRoot = bytes.readUInt16LE(at) === 0xf30a && bytes.readUInt16LE(at + 6) === 1 && at % 1024 !== 0
    if (isRoot && bytes.readUInt32LE(at + 16) === block) bytes.writeUInt16LE(2, at + 6)
  }
}

/** Values that a reader must refuse, put where debugfs can put them. */
const hostile: {
  name: string
  args?: readonly string[]
  commands: readonly string[]
  patch?: (bytes: Buffer) => void
  expect: RegExp
}[] = [
  {
    name: 'a name with a slash',
    commands: [],
    patch: (bytes) => bytes.write('../evil', bytes.indexOf('slow-link'), 'latin1'),
    expect: /a name with a slash or a NUL: "..\/evilnk"/,
  },
  {
    name: 'a name twice',
    commands: [],
    patch: (bytes) => bytes.write('3', bytes.indexOf('blocks 14\0') + 8, 'latin1'),
    expect: /two entries are named 'a name that fills blocks 13'/,
  },
  {
    name: 'an entry that leaves its block',
    commands: [],
    patch: (bytes) => bytes.writeUInt16LE(2048, bytes.indexOf('slow-link') - 4),
    expect: /a directory entry of 2048 bytes with \d+ left/,
  },
  {
    name: 'entries without end',
    commands: [],
    patch: (bytes) => bytes.writeUInt16LE(0, bytes.indexOf('slow-link') - 4),
    expect: /a directory entry of 0 bytes/,
  },
  {
    name: 'an extent tree that contains itself',
    commands: [],
    patch: (bytes) => loopExtents(bytes),
    expect: /occurs twice in its extent tree|extent tree depth|extent index covers/,
  },
  {
    name: 'an attribute value outside its place',
    commands: [],
    patch: (bytes) => bytes.writeUInt16LE(4000, bytes.indexOf('long', bytes.indexOf(attributeMagic)) - 14),
    expect: /an attribute value of 300 bytes at 4000 of 1024/,
  },
  {
    name: 'a directory inside itself',
    commands: ['cd /many', 'link <2> loop'],
    expect: /directory inode 2 is reached twice, at "many\/loop", at byte \d+ of the volume/,
  },
  {
    name: 'one directory under two names',
    commands: ['link /many /again'],
    expect: /directory inode \d+ is reached twice/,
  },
  {
    name: 'an entry for a deleted inode',
    commands: ['set_inode_field /small links_count 0'],
    expect: /is deleted, but has a name/,
  },
  {
    name: 'an entry for an inode that does not exist',
    commands: [],
    patch: (bytes) => bytes.writeUInt32LE(5_000_000, bytes.indexOf('slow-link') - 8),
    expect: /inode 5000000 of 192/,
  },
  {
    name: 'an entry for the journal',
    commands: ['link <8> /journal'],
    expect: /inode 8 of 192 can't belong to a file/,
  },
  {
    name: 'a block outside the volume',
    commands: ['set_inode_field /sparse block[0] 70000'],
    args: ['-t', 'ext2'],
    expect: /block 0 of inode \d+ lies in block 70000 of 1024/,
  },
  {
    name: 'a list of blocks that contains itself',
    commands: ['set_inode_field /sparse block[TIND] 900', 'set_inode_field /sparse size 2000000000'],
    args: ['-t', 'ext2'],
    patch: (bytes) => {
      for (let at = 0; at < 1024; at += 4) bytes.writeUInt32LE(900, 900 * 1024 + at)
    },
    expect: /list of blocks 900 occurs twice/,
  },
  {
    name: 'a directory of absurd size',
    commands: ['set_inode_field /many size 4294966272'],
    expect: /the directories up to inode \d+ are larger than the volume/,
  },
  {
    name: 'a directory without blocks',
    commands: ['set_inode_field /many size 1023'],
    expect: /a directory of 1023 bytes/,
  },
  {
    name: 'a link without end',
    commands: ['set_inode_field /link size 3000000000'],
    expect: /a link target of 3000000000 bytes/,
  },
  {
    name: 'attributes in a block that holds none',
    commands: ['set_inode_field /small file_acl 3'],
    expect: /its attribute block does not start like one/,
  },
  {
    name: 'no file type',
    commands: ['set_inode_field /small mode 0170644'],
    expect: /mode 0170644 is of no file type/,
  },
  {
    name: 'an unknown feature',
    commands: ['set_super_value feature_incompat 0x400002c2'],
    expect: /can't be read: incompat 0x40000000/,
  },
  {
    name: 'an encrypted file',
    commands: ['feature encrypt', 'set_inode_field /small flags 0x80800'],
    expect: /"small" is encrypted \(fscrypt\)/,
  },
  {
    name: 'an encrypted folder',
    commands: ['feature encrypt', 'set_inode_field /many flags 0x80800'],
    expect: /"many" is encrypted \(fscrypt\)/,
  },
  {
    name: 'an encrypted link',
    commands: ['feature encrypt', 'set_inode_field /link flags 0x800'],
    expect: /"link" is encrypted \(fscrypt\)/,
  },
  {
    name: 'a journal to replay, and none there',
    commands: ['feature needs_recovery'],
    expect: /the journal of the volume can't be replayed: it lies on another device/,
  },
  {
    name: 'huge blocks',
    commands: ['set_super_value log_block_size 31'],
    expect: /block size 2\^41, at byte 1048/,
  },
  { name: 'tiny groups', commands: ['set_super_value blocks_per_group 8'], expect: /8 blocks in a group/ },
  {
    name: 'absurd inode count',
    commands: ['set_super_value inodes_count 4000000000'],
    expect: /4000000000 inodes/,
  },
  { name: 'no inodes', commands: ['set_super_value inodes_per_group 0'], expect: /0 inodes in a group/ },
]

for (const { name, args, commands, patch, expect } of hostile) {
  test(`refused: ${name}`, async (t) => {
    const folder = tempFolder(t)
    const bytes = makeSmallVolume(t, args ?? ['-t', 'ext4', '-O', '^has_journal,^metadata_csum'])
    if (bytes === undefined) return
    const path = join(folder, 'volume.img')
    writeFileSync(path, bytes)
    debugfs({ path, bytes: bytes.length }, ...commands)
    const changed = readFileSync(path)
    patch?.(changed)
    await assert.rejects(readEverything(changed), (error) => {
      assert.ok(error instanceof FormatError)
      assert.match(error.message, expect)
      return true
    })
  })
}

/** Each kind of metadata that has a checksum: one changed bit in it is an error, and the error says which. */
const checked: { name: string; find: (file: string) => number; expect: RegExp }[] = [
  { name: 'superblock', find: () => 1024 + 0x80, expect: /checksum of the superblock/ },
  { name: 'group descriptor', find: () => 2048 + 0x10, expect: /checksum of the descriptor of group 0/ },
  { name: 'inode', find: (file) => inodeOffset(file, '/small') + 0x10, expect: /inode \d+: its checksum/ },
  {
    name: 'directory',
    find: (file) => blockOf(file, '/lost+found', 0) + 40,
    expect: /checksum of a directory block/,
  },
  {
    name: 'directory index',
    find: (file) => blockOf(file, '/many', 0) + 44,
    expect: /checksum of a directory index/,
  },
  {
    name: 'extent block',
    find: (file) => extentBlock(file, '/sparse') + 20,
    expect: /checksum of an extent block/,
  },
  {
    name: 'attribute block',
    find: (file) => attributeBlock(file, '/sparse') + 1000,
    expect: /its attribute block is wrong/,
  },
]

const ask = (file: string, request: string) => run('debugfs', ['-R', request, file]).stdout
const number = (text: string, pattern: RegExp) => {
  const [, digits] = pattern.exec(text) ?? []
  assert.ok(digits !== undefined, text)
  return Number(digits)
}
const blockOf = (file: string, path: string, index: number) =>
  number(ask(file, `bmap ${path} ${index}`), /^(\d+)/) * 1024
const attributeBlock = (file: string, path: string) =>
  number(ask(file, `stat ${path}`), /File ACL: (\d+)/) * 1024
const extentBlock = (file: string, path: string) => number(ask(file, `stat ${path}`), /\(ETB0\):(\d+)/) * 1024
const inodeOffset = (file: string, path: string) => {
  const [, block, offset] =
    /located at block (\d+), offset (0x[0-9a-f]+)/.exec(ask(file, `imap ${path}`)) ?? []
  return Number(block) * 1024 + Number(offset)
}

for (const { name, find, expect } of checked) {
  test(`checksum of: ${name}`, async (t) => {
    const bytes = makeSmallVolume(t, ['-t', 'ext4', '-O', '^has_journal,metadata_csum', '-I', '128'])
    if (bytes === undefined) return
    const path = join(tempFolder(t), 'volume.img')
    writeFileSync(path, bytes)
    await readEverything(bytes)
    const at = find(path)
    bytes[at] = (bytes[at] as number) ^ 1
    await assert.rejects(readEverything(bytes), (error) => {
      assert.ok(error instanceof FormatError)
      assert.match(error.message, expect)
      assert.match(error.message, /at byte \d+ of the volume/)
      return true
    })
  })
}
