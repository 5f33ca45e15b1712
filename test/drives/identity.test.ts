/** What was confirmed is what may be written: media, names and numbers that change between the table and the first byte. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatDeviceNumber } from '../../src/drives/device-number.ts'
import type { Drive } from '../../src/drives/drive.ts'
import { guardDrive } from '../../src/drives/guard.ts'
import { requireSameDrive, watchMedium } from '../../src/drives/identity.ts'
import { listDrives } from '../../src/drives/list.ts'
import { openDriveTarget } from '../../src/flash/target.ts'
import { allocateAligned } from '../../src/io/aligned-buffer.ts'
import { MiB } from '../../src/units.ts'
import { attachLoop, detachLoopDevice, makeSparseFile } from '../support/loop.ts'
import { patternBytes } from '../support/pattern.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const CARD_BYTES = 32 * MiB
const options = { cachePath: '/nonexistent/cache' }

function makeCard(t: TestContext, bytes = CARD_BYTES, folder = tempFolder(t)): string {
  const file = join(folder, 'card.bin')
  makeSparseFile(file, bytes)
  return file
}

/** Another file behind the same loop device. */
function exchange(t: TestContext, path: string, file: string): void {
  detachLoopDevice(path)
  assert.equal(run('losetup', [path, file]).status, 0)
  t.after(() => run('losetup', ['--detach', path]))
}

/** A loop device that the test detaches itself. */
function attachAlone(file: string): string {
  return run('losetup', ['--find', '--show', file]).stdout.trim()
}

const isOther = (path: string) => ({
  name: 'DriveError',
  message: new RegExp(`^${path} is not the drive that was confirmed: its `),
})

for (const { name, second } of [
  { name: 'of another size', second: 2 * CARD_BYTES },
  { name: 'of the same size', second: CARD_BYTES },
])
  test(`another card ${name} in the same place is not the confirmed one`, async (t) => {
    if (!needRoot(t)) return
    const path = attachAlone(makeCard(t))
    const confirmed = await guardDrive(path, MiB, options)
    const other = makeCard(t, second)
    exchange(t, path, other)
    await assert.rejects(guardDrive(path, MiB, { ...options, confirmed }), isOther(path))
    await assert.rejects(openDriveTarget(confirmed), isOther(path))
    assert.ok(readFileSync(other).equals(Buffer.alloc(second)))
  })

test('the same file, taken out and put in again, is another medium to the kernel', async (t) => {
  if (!needRoot(t)) return
  const file = makeCard(t)
  const path = attachAlone(file)
  const confirmed = await guardDrive(path, MiB, options)
  exchange(t, path, file)
  await assert.rejects(guardDrive(path, MiB, { ...options, confirmed }), isOther(path))
})

test('a card that is gone is told so', async (t) => {
  if (!needRoot(t)) return
  const path = attachAlone(makeCard(t))
  const confirmed = await guardDrive(path, MiB, options)
  detachLoopDevice(path)
  await assert.rejects(openDriveTarget(confirmed), { name: 'DriveError', message: `${path} is gone` })
})

test('a name that leads to another device by now is not opened for writing', async (t) => {
  if (!needRoot(t)) return
  const confirmed = await guardDrive(attachLoop(t, makeCard(t)), MiB, options)
  const file = makeCard(t)
  const other = statSync(attachLoop(t, file), { bigint: true }).rdev
  const [major = '', minor = ''] = formatDeviceNumber(other).split(':')
  const node = join(tempFolder(t), 'sdx')
  assert.equal(run('mknod', [node, 'b', major, minor]).status, 0)
  await assert.rejects(openDriveTarget({ ...confirmed, path: node }), {
    message: `${node} is not the drive that was confirmed: its name leads to another device now`,
  })
})

test('a medium that changes while it is written gets no more bytes', async (t) => {
  if (!needRoot(t)) return
  const file = makeCard(t)
  const path = attachLoop(t, file)
  const target = await openDriveTarget(await guardDrive(path, MiB, options))
  try {
    const [buffer] = allocateAligned(1, MiB) as [Buffer]
    patternBytes('one', MiB).copy(buffer)
    await target.write(buffer, 0)
    truncateSync(file, CARD_BYTES / 2)
    assert.equal(run('losetup', ['--set-capacity', path]).status, 0)
    await assert.rejects(target.write(buffer, MiB), {
      name: 'DriveError',
      message: `${path} is not the drive that was confirmed: another medium was put in while it was written`,
    })
    assert.ok(
      readFileSync(file)
        .subarray(MiB, 2 * MiB)
        .equals(Buffer.alloc(MiB)),
    )
  } finally {
    await target.close()
  }
})

test('the number of the medium is looked at, and a drive that is gone answers for itself', (t) => {
  const root = tempFolder(t)
  const folder = join(root, 'sys/dev/block/8:0')
  mkdirSync(folder, { recursive: true })
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text)
  put('diskseq', '12\n')
  put('size', '65536\n')
  const isSame = watchMedium({ path: '/dev/sda', size: 1, number: '8:0' }, root)
  assert.equal(isSame(), true)
  put('diskseq', '13\n')
  assert.equal(isSame(), false)
  put('diskseq', '12\n')
  assert.equal(isSame(), true)
  put('size', '0\n')
  assert.equal(isSame(), false)
  const isThere = watchMedium({ path: '/dev/sdb', size: 1, number: '8:16' }, root)
  assert.equal(isThere(), true)
})

test('whatever a medium is known by must be as it was', async (t) => {
  if (!needRoot(t)) return
  const drive = await guardDrive(attachLoop(t, makeCard(t)), MiB, options)
  requireSameDrive(drive, { ...drive })
  const changes: Partial<Drive>[] = [
    { size: 1 },
    { sectorSize: 4096 },
    { serial: 'B' },
    { model: 'Other' },
    { bus: 'usb' },
    { number: '7:99' },
    { backing: '1:2' },
    { sequence: '99' },
    { sequence: undefined },
  ]
  for (const change of changes)
    assert.throws(
      () => requireSameDrive(drive, { ...drive, ...change }),
      isOther(drive.path),
      JSON.stringify(change),
    )
  // Where it is mounted and what lies on it may change.
  requireSameDrive(drive, { ...drive, mounts: [{ source: 'a', target: '/media/a' }], label: 'X' })
  assert.throws(() => requireSameDrive(drive, undefined), { message: `${drive.path} is gone` })
})

test('one file behind two loop devices, by two of its names, is one card', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const folder = tempFolder(t)
  const file = makeCard(t, CARD_BYTES, folder)
  assert.equal(run('mkfs.ext4', ['-q', file]).status, 0)
  linkSync(file, join(folder, 'hard.bin'))
  const [bound, mounted] = [join(folder, 'bound'), join(folder, 'mounted')]
  mkdirSync(bound)
  mkdirSync(mounted)
  assert.equal(run('mount', ['--bind', folder, bound]).status, 0)
  const first = attachLoop(t, file)
  const [hard, other] = [attachLoop(t, join(folder, 'hard.bin')), attachLoop(t, join(bound, 'card.bin'))]
  try {
    await assert.rejects(guardDrive(hard, MiB, options), {
      message: new RegExp(`^${hard} is part of .*${first}`),
    })
    assert.equal(run('mount', [first, mounted]).status, 0)
    for (const name of [hard, other])
      await assert.rejects(guardDrive(name, MiB, options), { message: `${name} is mounted (${mounted})` })
  } finally {
    run('umount', [mounted])
    for (const loop of [other, hard]) run('losetup', ['--detach', loop])
    run('umount', [bound])
    // What `attachLoop` detaches at the end must be there.
    run('losetup', [hard, file])
    run('losetup', [other, file])
  }
})

test('a drive that a program has open for writing, as a virtual machine does, is in use', async (t) => {
  if (!needRoot(t)) return
  const path = attachLoop(t, makeCard(t))
  const hold = async (mode: string, judge: (pid: number) => Promise<void>) => {
    const holder = spawn('sh', ['-c', `exec 9${mode}"$0"; echo ready; exec sleep 60`, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve))
      await judge(holder.pid as number)
    } finally {
      holder.kill('SIGKILL')
      await new Promise((resolve) => holder.once('close', resolve))
    }
  }
  await hold('<>', async (pid) => {
    await assert.rejects(guardDrive(path, MiB, options), {
      name: 'DriveError',
      message: new RegExp(
        `^${path} is in use: another program has it open or mounted it: process ${pid} \\(\\w+\\)$`,
      ),
    })
  })
  await hold('<', async () => {
    await guardDrive(path, MiB, options)
  })
})

test('what lies on the drive itself is named, and one half of a set is refused', async (t) => {
  const btrfs = needTool(t, 'mkfs.btrfs', 'btrfs-progs')
  const ext4 = needTool(t, 'mkfs.ext4', 'e2fsprogs')
  if (btrfs === undefined || ext4 === undefined || !needRoot(t)) return
  const insert = () => attachLoop(t, makeCard(t, 256 * MiB))
  const photos = insert()
  assert.equal(run(ext4, ['-q', '-L', 'FAMILYPHOTOS', photos]).status, 0)
  const drive = await guardDrive(photos, MiB, options)
  assert.deepEqual([drive.label, drive.fileSystem], ['FAMILYPHOTOS', 'ext4'])
  const listed = (await listDrives('linux', { contents: true })).find(({ path }) => path === photos)
  assert.deepEqual([listed?.label, listed?.fileSystem], ['FAMILYPHOTOS', 'ext4'])
  const pair = [insert(), insert()] as [string, string]
  assert.equal(run(btrfs, ['-q', '-L', 'PAIR', ...pair]).status, 0)
  for (const [one, other] of [pair, [...pair].reverse()])
    await assert.rejects(guardDrive(one as string, MiB, options), {
      name: 'DriveError',
      message: `${one} is part of a btrfs file system "PAIR", together with ${other}`,
    })
})
