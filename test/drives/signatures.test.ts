/** Marks that the formats' own tools leave, found and named as blkid names them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readSignatures } from '../../src/drives/contents.ts'
import { findSignatures, HEAD_BYTES, type Signature, TAIL_BYTES } from '../../src/drives/signatures.ts'
import { KiB, MiB } from '../../src/units.ts'
import { attachLoop, makeSparseFile } from '../support/loop.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

function makeFile(t: TestContext, bytes: number, name = 'disk'): string {
  const file = join(tempFolder(t), name)
  makeSparseFile(file, bytes)
  return file
}

const blkid = (file: string): string => run('blkid', ['-p', '-o', 'value', '-s', 'TYPE', file]).stdout.trim()

/** Formats whose tool takes a plain file. */
const formats: {
  tool: string
  from: string
  args: (file: string) => string[]
  input?: string
  mebibytes?: number
  says: Signature
  /** Where blkid's name is another, or it knows none. */
  blkid?: string
}[] = [
  {
    tool: 'mkfs.ext4',
    from: 'e2fsprogs',
    args: (file) => ['-q', '-L', 'FAMILYPHOTOS', file],
    says: { type: 'ext4', label: 'FAMILYPHOTOS' },
  },
  { tool: 'mkfs.ext3', from: 'e2fsprogs', args: (file) => ['-q', file], says: { type: 'ext3' } },
  { tool: 'mkfs.ext2', from: 'e2fsprogs', args: (file) => ['-q', file], says: { type: 'ext2' } },
  {
    tool: 'mkfs.btrfs',
    from: 'btrfs-progs',
    args: (file) => ['-q', '-L', 'Fotos 2024', file],
    mebibytes: 256,
    says: { type: 'btrfs', label: 'Fotos 2024' },
  },
  {
    tool: 'mkfs.xfs',
    from: 'xfsprogs',
    args: (file) => ['-q', '-L', 'media', file],
    mebibytes: 512,
    says: { type: 'xfs', label: 'media' },
  },
  {
    tool: 'cryptsetup',
    from: 'cryptsetup-bin',
    args: (file) => [
      'luksFormat',
      '--type',
      'luks2',
      '--pbkdf-force-iterations',
      '4',
      '--pbkdf-memory',
      '32',
      '--batch-mode',
      '--label',
      'vault',
      file,
      '-',
    ],
    input: 'secret',
    says: { type: 'crypto_LUKS', label: 'vault' },
  },
  {
    tool: 'cryptsetup',
    from: 'cryptsetup-bin',
    args: (file) => [
      'luksFormat',
      '--type',
      'luks1',
      '--pbkdf-force-iterations',
      '1000',
      '--batch-mode',
      file,
      '-',
    ],
    input: 'secret',
    says: { type: 'crypto_LUKS' },
  },
  {
    tool: 'mkswap',
    from: 'util-linux',
    args: (file) => ['-L', 'swap1', file],
    says: { type: 'swap', label: 'swap1' },
  },
  { tool: 'mkntfs', from: 'ntfs-3g', args: (file) => ['-F', '-q', '-Q', file], says: { type: 'ntfs' } },
  { tool: 'mkfs.exfat', from: 'exfatprogs', args: (file) => [file], says: { type: 'exfat' } },
  {
    tool: 'mkfs.vfat',
    from: 'dosfstools',
    args: (file) => ['-F', '32', '-n', 'CAMERA', file],
    says: { type: 'vfat', label: 'CAMERA' },
  },
  {
    tool: 'mkfs.vfat',
    from: 'dosfstools',
    args: (file) => ['-F', '16', file],
    mebibytes: 16,
    says: { type: 'vfat' },
  },
  {
    tool: 'mkfs.f2fs',
    from: 'f2fs-tools',
    args: (file) => ['-q', '-l', 'phone', file],
    mebibytes: 128,
    says: { type: 'f2fs', label: 'phone' },
  },
  {
    tool: 'mkapfs',
    from: 'apfsprogs',
    args: (file) => ['-L', 'Mac', file],
    mebibytes: 1024,
    says: { type: 'apfs' },
  },
]
for (const { tool, from, args, input, mebibytes = 64, says } of formats)
  test(`${tool} ${args('').join(' ').slice(0, 40)}: ${says.label ?? ''} ${says.type}`, async (t) => {
    const path = needTool(t, tool, from)
    if (path === undefined) return
    const file = makeFile(t, mebibytes * MiB)
    const { status, stderr } = run(path, args(file), { input })
    assert.equal(status, 0, stderr)
    const [first, ...more] = await readSignatures(file, mebibytes * MiB)
    assert.deepEqual(JSON.parse(JSON.stringify(first)), says)
    assert.deepEqual(more, [])
    assert.equal(blkid(file), says.type)
  })

test('an ISO image, an EROFS and a squashfs made of a folder', async (t) => {
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'a'), 'a')
  for (const [tool, from, args, type] of [
    ['xorriso', 'xorriso', ['-as', 'mkisofs', '-quiet', '-V', 'LIVE'], 'iso9660'],
    ['mkfs.erofs', 'erofs-utils', [], 'erofs'],
    ['mksquashfs', 'squashfs-tools', [], 'squashfs'],
  ] as const) {
    const path = needTool(t, tool, from)
    if (path === undefined) return
    const file = join(tempFolder(t), 'image')
    const words =
      type === 'squashfs'
        ? [folder, file, '-quiet', '-no-progress']
        : [...args, ...(type === 'iso9660' ? ['-o'] : []), file, folder]
    const { status, stderr } = run(path, words)
    assert.equal(status, 0, stderr)
    const [first] = await readSignatures(file, statSync(file).size)
    assert.deepEqual([first?.type, blkid(file)], [type, type])
    if (type === 'iso9660') assert.equal(first?.label, 'LIVE')
  }
})

test('two members of one btrfs share what tells the set; one alone is no set', async (t) => {
  const tool = needTool(t, 'mkfs.btrfs', 'btrfs-progs')
  if (tool === undefined || !needRoot(t)) return
  const files = [makeFile(t, 256 * MiB), makeFile(t, 256 * MiB)]
  const loops = files.map((file) => attachLoop(t, file))
  assert.equal(run(tool, ['-q', '-L', 'PAIR', ...loops]).status, 0)
  const [one, other] = await Promise.all(files.map((file) => readSignatures(file, 256 * MiB)))
  assert.ok(one?.[0]?.set)
  assert.equal(one[0].set, other?.[0]?.set)
})

test('physical volumes of one LVM group share its id, and tell its name', async (t) => {
  const [pvcreate, vgcreate] = [needTool(t, 'pvcreate', 'lvm2'), needTool(t, 'vgcreate', 'lvm2')]
  if (pvcreate === undefined || vgcreate === undefined || !needRoot(t)) return
  const files = [makeFile(t, 64 * MiB), makeFile(t, 64 * MiB)]
  const loops = files.map((file) => attachLoop(t, file))
  const config = ['--config', 'devices { use_devicesfile=0 } activation { udev_sync=0 udev_rules=0 }']
  assert.equal(run(pvcreate, ['-q', '-ff', '-y', ...config, ...loops]).status, 0)
  const [alone] = await readSignatures(files[0] as string, 64 * MiB)
  assert.deepEqual([alone?.type, alone?.set], ['LVM2_member', undefined])
  const { status, stderr } = run(vgcreate, ['-q', ...config, 'precious', ...loops])
  assert.equal(status, 0, stderr)
  const [one, other] = await Promise.all(files.map((file) => readSignatures(file, 64 * MiB)))
  assert.deepEqual([one?.[0]?.type, one?.[0]?.label], ['LVM2_member', 'precious'])
  assert.ok(one?.[0]?.set)
  assert.equal(one[0].set, other?.[0]?.set)
  assert.equal(blkid(files[0] as string), 'LVM2_member')
})

test('members of a ZFS pool share its id, and tell its name', async (t) => {
  const daemon = needTool(t, 'zfs-fuse', 'zfs-fuse')
  const zpool = needTool(t, 'zpool', 'zfs-fuse')
  if (daemon === undefined || zpool === undefined || !needRoot(t)) return
  const server = spawn(daemon, ['--no-daemon'], { stdio: 'ignore' })
  t.after(() => server.kill('SIGKILL'))
  const files = [makeFile(t, 100 * MiB), makeFile(t, 100 * MiB)]
  const pool = `piimage${process.pid}`
  let made = run(zpool, ['create', '-f', pool, ...files])
  for (let tries = 0; made.status !== 0 && tries < 50; tries += 1) {
    await sleep(100)
    made = run(zpool, ['create', '-f', pool, ...files])
  }
  assert.equal(made.status, 0, made.stderr)
  assert.equal(run(zpool, ['export', pool]).status, 0)
  const [one, other] = await Promise.all(files.map((file) => readSignatures(file, 100 * MiB)))
  assert.deepEqual([one?.[0]?.type, one?.[0]?.label], ['zfs_member', pool])
  assert.ok(one?.[0]?.set)
  assert.equal(one[0].set, other?.[0]?.set)
})

test('a bcache cache', async (t) => {
  const tool = needTool(t, 'make-bcache', 'bcache-tools')
  if (tool === undefined || !needRoot(t)) return
  const file = makeFile(t, 64 * MiB)
  const loop = attachLoop(t, file)
  assert.equal(run(tool, ['-C', loop]).status, 0)
  const [first] = await readSignatures(file, 64 * MiB)
  assert.equal(first?.type, 'bcache')
  assert.ok(first.set)
  assert.equal(blkid(file), 'bcache')
})

/**
 * Linux' RAID needs its driver to make a member, so these are made here, and mdadm itself
 * says what it reads in them.
 */
const raids = [
  { version: '1.0', at: (size: number) => size - 8 * KiB, level: 1 },
  { version: '1.1', at: () => 0, level: 1 },
  { version: '1.2', at: () => 4 * KiB, level: 5 },
] as const
for (const { version, at, level } of raids)
  test(`a RAID member of version ${version}`, async (t) => {
    const mdadm = needTool(t, 'mdadm', 'mdadm')
    if (mdadm === undefined) return
    const size = 64 * MiB
    const file = makeFile(t, size)
    const block = raidSuperblock(at(size) / 512, level, size)
    const fd = openSync(file, 'r+')
    writeSync(fd, block, 0, block.length, at(size))
    closeSync(fd)
    const says = run(mdadm, ['--examine', file]).stdout
    assert.match(says, new RegExp(`Version : ${version.replace('.', '\\.')}`))
    assert.match(says, /Checksum : [0-9a-f]+ - correct/)
    assert.match(says, /Raid Devices : 3/)
    const [first] = await readSignatures(file, size)
    assert.deepEqual(first, {
      type: 'linux_raid_member',
      label: 'nas:0',
      set: '00112233445566778899aabbccddeeff',
    })
    assert.equal(blkid(file), 'linux_raid_member')
  })

function raidSuperblock(offsetSectors: number, level: number, size: number): Buffer {
  const block = Buffer.alloc(512)
  block.writeUInt32LE(0xa92b4efc, 0)
  block.writeUInt32LE(1, 4)
  Buffer.from('00112233445566778899aabbccddeeff', 'hex').copy(block, 16)
  block.write('nas:0', 32)
  block.writeInt32LE(level, 72)
  const dataSectors = size / 512 - 4096
  block.writeBigUInt64LE(BigInt(dataSectors), 80)
  block.writeUInt32LE(128, 88)
  block.writeUInt32LE(3, 92)
  block.writeBigUInt64LE(2048n, 128)
  block.writeBigUInt64LE(BigInt(dataSectors), 136)
  block.writeBigUInt64LE(BigInt(offsetSectors), 144)
  block.writeUInt32LE(128, 220)
  // Words added up, the carry added in; <drivers/md/md.c> calc_sb_1_csum.
  const length = 256 + 128 * 2
  let sum = 0n
  for (let word = 0; word < length; word += 4) sum += BigInt(block.readUInt32LE(word))
  block.writeUInt32LE(Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn), 216)
  return block
}

test('a partition table, an empty drive and noise are none of these', async (t) => {
  const file = makeFile(t, 64 * MiB)
  assert.deepEqual(await readSignatures(file, 64 * MiB), [])
  const sfdisk = needTool(t, 'sfdisk', 'fdisk')
  if (sfdisk === undefined) return
  for (const label of ['dos', 'gpt']) {
    assert.equal(
      run(sfdisk, ['-q', file], {
        input: `label: ${label}\n,8M,c\n,,L\n`.replace(',c', label === 'dos' ? ',c' : ','),
      }).status,
      0,
    )
    assert.deepEqual(await readSignatures(file, 64 * MiB), [], label)
  }
  const noise = readFileSync(process.execPath)
  assert.deepEqual(
    findSignatures(noise.subarray(1, HEAD_BYTES + 1), noise.subarray(-TAIL_BYTES), noise.length),
    [],
  )
})

test('devices that are cut short, or gone, say nothing', async (t) => {
  assert.deepEqual(await readSignatures('/dev/no-such-drive', MiB), [])
  const tool = needTool(t, 'mkfs.btrfs', 'btrfs-progs')
  if (tool === undefined) return
  const file = makeFile(t, 256 * MiB)
  assert.equal(run(tool, ['-q', file]).status, 0)
  const head = Buffer.alloc(HEAD_BYTES)
  const fd = openSync(file, 'r')
  readSync(fd, head, 0, HEAD_BYTES, 0)
  closeSync(fd)
  for (let bytes = 0; bytes < HEAD_BYTES; bytes += 509)
    findSignatures(head.subarray(0, bytes), head.subarray(0, bytes), bytes)
})
