/** The guard on this very machine: whatever its system disk is called, it is refused. Nothing is opened for writing. */
import assert from 'node:assert/strict'
import { mkdirSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatDeviceNumber } from '../../src/drives/device-number.ts'
import { guardDrive } from '../../src/drives/guard.ts'
import { listDrives } from '../../src/drives/list.ts'
import { GiB, MiB } from '../../src/units.ts'
import { attachLoop, makeSparseFile } from '../support/loop.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const CARD_BYTES = 64 * MiB

function guard(path: string, options: Partial<Parameters<typeof guardDrive>[2]> = {}, imageLength = MiB) {
  return guardDrive(path, imageLength, { cachePath: '/nonexistent/cache', ...options })
}

function insertCard(t: TestContext, options: Parameters<typeof attachLoop>[2] = {}): string {
  const file = join(tempFolder(t), 'card.bin')
  makeSparseFile(file, CARD_BYTES)
  return attachLoop(t, file, options)
}

/** The whole drive that holds `/`, or undefined where it is hidden (in a container). */
async function systemDrive(): Promise<string | undefined> {
  return (await listDrives()).find((drive) => drive.system)?.path
}

test('the card alone passes, by any of its names', async (t) => {
  if (!needRoot(t)) return
  const folder = tempFolder(t)
  const path = insertCard(t)
  symlinkSync(path, join(folder, 'card'))
  symlinkSync(join(folder, 'card'), join(folder, 'link-to-link'))
  for (const name of [
    path,
    join(folder, 'card'),
    join(folder, 'link-to-link'),
    `/dev/../dev/${basename(path)}`,
  ]) {
    const drive = await guard(name)
    assert.deepEqual(
      [drive.path, drive.size, drive.bus, drive.sectorSize],
      [path, CARD_BYTES, 'loop', 512],
      name,
    )
  }
})

test("the system's drive is refused, however it is named", async (t) => {
  const disk = await systemDrive()
  if (disk === undefined) return t.skip('the system drive is not visible here')
  const folder = tempFolder(t)
  symlinkSync(disk, join(folder, 'disk'))
  symlinkSync(relative(realpathSync(folder), disk), join(folder, 'relative'))
  symlinkSync('disk', join(folder, 'chain'))
  symlinkSync('/dev', join(folder, 'dev'))
  mkdirSync(join(folder, 'sub'))
  const names = [
    disk,
    `/dev/./${basename(disk)}`,
    `/dev//${basename(disk)}`,
    `/dev/../dev/${basename(disk)}`,
    `/proc/../dev/${basename(disk)}`,
    `/proc/self/root${disk}`,
    relative(process.cwd(), disk),
    join(folder, 'disk'),
    join(folder, 'relative'),
    join(folder, 'chain'),
    `${folder}/sub/../disk`,
    join(folder, 'dev', basename(disk)),
  ]
  if (process.getuid?.() === 0) {
    const [major = '', minor = ''] = formatDeviceNumber(statSync(disk, { bigint: true }).rdev).split(':')
    run('mknod', [join(folder, 'node.img'), 'b', major, minor])
    names.push(join(folder, 'node.img'))
  }
  for (const name of names) {
    for (const options of [{}, { unmount: true }, { serial: 'x' }]) {
      await assert.rejects(
        guard(name, options),
        (error: Error) => {
          assert.equal(error.name, 'DriveError', `${name}: ${error.message}`)
          assert.match(error.message, new RegExp(`^${disk} holds the running system`))
          return true
        },
        name,
      )
    }
  }
})

const wrongPaths: { path: string; name: 'UsageError' | 'DriveError'; message: RegExp }[] = [
  { path: '/dev/no-such-drive', name: 'UsageError', message: /^there is no \/dev\/no-such-drive$/ },
  { path: '', name: 'UsageError', message: /^there is no / },
  { path: '/dev/null/x', name: 'UsageError', message: /^there is no \/dev\/null\/x$/ },
  { path: '/tmp', name: 'DriveError', message: /^\/tmp is a folder, not a drive$/ },
  { path: '/', name: 'DriveError', message: /^\/ is a folder, not a drive$/ },
  { path: '/dev/null', name: 'DriveError', message: /^\/dev\/null is a character device, not a drive$/ },
  { path: '/etc/passwd', name: 'DriveError', message: /^\/etc\/passwd is a file, not a drive$/ },
]
for (const { path, name, message } of wrongPaths)
  test(`'${path}' is refused`, async () => {
    await assert.rejects(guard(path), (error: Error & { hint?: string }) => {
      assert.equal(error.name, name)
      assert.match(error.message, message)
      assert.ok(error.hint)
      return true
    })
  })

test('a dangling link, and a link to a folder', async (t) => {
  const folder = tempFolder(t)
  symlinkSync('/dev/no-such-drive', join(folder, 'dangling'))
  symlinkSync('/dev', join(folder, 'folder'))
  await assert.rejects(guard(join(folder, 'dangling')), { name: 'UsageError' })
  await assert.rejects(guard(join(folder, 'folder')), { name: 'DriveError' })
})

test('too small, read-only, and 4 KiB sectors', async (t) => {
  if (!needRoot(t)) return
  const small = insertCard(t)
  await assert.rejects(guard(small, {}, CARD_BYTES + 1), {
    name: 'DriveError',
    message: `${small} is too small: it has 67.1 MB (67108864 bytes), the image 67.1 MB (67108865 bytes)`,
  })
  await guard(small, {}, CARD_BYTES)
  const locked = insertCard(t, { readOnly: true })
  await assert.rejects(guard(locked), { name: 'DriveError', message: `${locked} is write-protected` })
  const advanced = insertCard(t, { sectorSize: 4096 })
  await assert.rejects(guard(advanced), { name: 'DriveError', message: /has sectors of 4096 bytes/ })
})

test('a drive above 256 GB wants its serial', async (t) => {
  if (!needRoot(t)) return
  const file = join(tempFolder(t), 'large')
  makeSparseFile(file, 300 * GiB)
  const path = attachLoop(t, file)
  await assert.rejects(guard(path), { name: 'DriveError', message: /more than cards usually have/ })
})

test('a mounted card is refused, and unmounted only where the desktop mounted it and it is allowed', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const path = insertCard(t)
  assert.equal(run('mkfs.ext4', ['-q', path]).status, 0)
  const byHand = join(tempFolder(t), 'mounted here')
  mkdirSync(byHand)
  assert.equal(run('mount', [path, byHand]).status, 0)
  t.after(() => run('umount', [byHand]))
  const refused = { name: 'DriveError', message: `${path} is mounted (${byHand})` }
  await assert.rejects(guard(path), refused)
  await assert.rejects(guard(path, { unmount: true }), refused)
  assert.equal(run('umount', [byHand]).status, 0)

  const byDesktop = `/media/piimage-test-${process.pid}`
  mkdirSync(byDesktop, { recursive: true })
  t.after(() => run('rmdir', [byDesktop]))
  assert.equal(run('mount', [path, byDesktop]).status, 0)
  t.after(() => run('umount', ['-q', byDesktop]))
  await assert.rejects(guard(path), { name: 'DriveError', message: `${path} is mounted (${byDesktop})` })
  // The cache may lie on such a drive, too.
  await assert.rejects(guard(path, { unmount: true, cachePath: join(byDesktop, 'not', 'yet', 'there') }), {
    name: 'DriveError',
    message: `${path} holds piimage's own cache`,
  })
  assert.deepEqual((await guard(path, { unmount: true })).mounts, [])
})

test('a card whose other loop device is mounted is refused', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const folder = tempFolder(t)
  const file = join(folder, 'card.bin')
  makeSparseFile(file, CARD_BYTES)
  const first = attachLoop(t, file)
  const second = attachLoop(t, file)
  const over = attachLoop(t, first)
  const target = join(folder, 'mounted')
  mkdirSync(target)
  assert.equal(run('mkfs.ext4', ['-q', second]).status, 0)
  assert.equal(run('mount', [second, target]).status, 0)
  try {
    await assert.rejects(guard(first), { message: `${first} is mounted (${target})` })
    await assert.rejects(guard(over), { message: `${over} is a loop device over ${first}` })
  } finally {
    run('umount', [target])
  }
  await assert.rejects(guard(first), { message: `${first} is part of ${[over, second].sort().join(', ')}` })
})

test('a loop device over a file that was removed is known by that file, and stands in no other card’s way', async (t) => {
  if (!needRoot(t)) return
  const folder = tempFolder(t)
  const lost = join(folder, 'lost.bin')
  makeSparseFile(lost, CARD_BYTES)
  const first = attachLoop(t, lost)
  const second = attachLoop(t, lost)
  const card = insertCard(t)
  rmSync(lost)
  assert.equal((await guard(card)).path, card)
  await assert.rejects(guard(first), { message: `${first} is part of ${second}` })
})

test('a file in the cache is not a card', async (t) => {
  if (!needRoot(t)) return
  const cache = tempFolder(t)
  const file = join(cache, 'image.bin')
  writeFileSync(file, Buffer.alloc(4 * MiB))
  const path = attachLoop(t, file)
  await assert.rejects(guard(path, { cachePath: cache }), { message: `${path} holds piimage's own cache` })
})

test('Windows is told what works there', async () => {
  await assert.rejects(guard('\\\\.\\PhysicalDrive1', { platform: 'win32' }), {
    name: 'UsageError',
    message: 'writing drives is not supported on Windows',
  })
  // Listing asks PowerShell, which is not here.
  await assert.rejects(listDrives('win32'), {
    name: 'DriveError',
    message: /^Windows does not tell its drives/,
  })
})

const deviceNumbers: [bigint, string][] = [
  [0x0801n, '8:1'],
  [0xfe00n, '254:0'],
  // Linux makedev(259, 300) and makedev(4097, 1048575)
  [0x11032cn, '259:300'],
  [0x1000fff001ffn, '4097:1048575'],
]
for (const [packed, unpacked] of deviceNumbers)
  test(`device number 0x${packed.toString(16)}`, () => assert.equal(formatDeviceNumber(packed), unpacked))
