/**
 * The drive guard on a machine with everything on it that must not be written:
 * a system disk, swap, mounted file systems, drives under other drives, LVM and
 * RAID, the cache; and one card. Each is named in every way that a path can
 * lead to a device. Only the card passes, and it by all of its names.
 *
 * Loop devices stand for drives; what not every kernel has (partitions, LVM,
 * RAID) is in guard-server.test.ts.
 */
import assert from 'node:assert/strict'
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatDeviceNumber } from '../../src/drives/device-number.ts'
import { guardDrive } from '../../src/drives/guard.ts'
import { listDrives } from '../../src/drives/list.ts'
import { GiB, MiB } from '../../src/units.ts'
import { figure } from '../support/figures.ts'
import { attachLoop, attachLoopDevice, detachLoopDevice, makeSparseFile } from '../support/loop.ts'
import { demoProject } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const CARD_BYTES = 128 * MiB
/** Of <fcntl.h>: a name held open, which even a device that may not be read allows. */
const O_PATH = 0o10000000

interface Name {
  how: string
  path: string
}

/** Every way to lead to the device at `device`. */
function namesOf(t: TestContext, device: string): Name[] {
  const bound = { path: '' }
  const folder = realpathSync(tempFolder(t, () => run('umount', ['-q', bound.path])))
  const file = basename(device)
  const [major = '', minor = ''] = numberOf(device).split(':')
  symlinkSync(device, join(folder, 'link'))
  symlinkSync('link', join(folder, 'link-to-link'))
  symlinkSync(relative(folder, device), join(folder, 'relative-link'))
  symlinkSync('/dev', join(folder, 'dev'))
  symlinkSync(device, join(folder, 'a name\nof two lines'))
  mkdirSync(join(folder, 'by-id'))
  symlinkSync(`../../../../../..${device}`, join(folder, 'by-id/usb-Generic_Card_Reader_123-0:0'))
  mkdirSync(join(folder, 'block'))
  symlinkSync(device, join(folder, `block/${major}:${minor}`))
  // What is written as the folder above holds a file of that name.
  mkdirSync(join(folder, 'far/inner'), { recursive: true })
  symlinkSync('far/inner', join(folder, 'inner'))
  symlinkSync(device, join(folder, 'far/there'))
  writeFileSync(join(folder, 'there'), 'decoy')
  assert.equal(run('mknod', [join(folder, 'node'), 'b', major, minor]).status, 0)
  assert.equal(
    run('mknod', ['-m', '0', join(folder, 'node-without-permissions'), 'b', major, minor]).status,
    0,
  )
  bound.path = join(folder, 'bound')
  writeFileSync(bound.path, '')
  assert.equal(run('mount', ['--bind', device, bound.path]).status, 0)
  const fd = openSync(device, O_PATH)
  t.after(() => closeSync(fd))
  return [
    { how: 'its path', path: device },
    { how: 'a dot in the path', path: `/dev/./${file}` },
    { how: 'two slashes', path: `//dev///${file}` },
    { how: 'back and forth', path: `/dev/../dev/${file}` },
    { how: 'through another folder', path: `/proc/../dev/${file}` },
    { how: 'through the root of this process', path: `/proc/self/root${device}` },
    { how: 'through the folder of this process', path: `/proc/self/cwd/${relative(process.cwd(), device)}` },
    { how: 'relative to here', path: relative(process.cwd(), device) },
    { how: 'a link', path: join(folder, 'link') },
    { how: 'a link to a link', path: join(folder, 'link-to-link') },
    { how: 'a relative link', path: join(folder, 'relative-link') },
    { how: 'back from a folder to a link', path: `${folder}/by-id/../link` },
    { how: 'back from a link to a folder', path: `${folder}/inner/../there` },
    { how: 'a link to its folder', path: join(folder, 'dev', file) },
    { how: 'a link with a line break in its name', path: join(folder, 'a name\nof two lines') },
    { how: 'a name as in /dev/disk/by-id', path: join(folder, 'by-id/usb-Generic_Card_Reader_123-0:0') },
    { how: 'a name as in /dev/block', path: join(folder, `block/${major}:${minor}`) },
    { how: 'a node made elsewhere', path: join(folder, 'node') },
    { how: 'a node without permissions', path: join(folder, 'node-without-permissions') },
    { how: 'a file with the node bound over it', path: bound.path },
    { how: 'an open file of this process', path: `/proc/self/fd/${fd}` },
    { how: 'an open file under /dev', path: `/dev/fd/${fd}` },
  ]
}

const numberOf = (device: string): string => formatDeviceNumber(statSync(device, { bigint: true }).rdev)

const guard = (path: string, options: Partial<Parameters<typeof guardDrive>[2]> = {}) =>
  guardDrive(path, 64 * MiB, { cachePath: '/nonexistent/cache', ...options })

function insertCard(
  t: TestContext,
  options: Parameters<typeof attachLoop>[2] = {},
  bytes = CARD_BYTES,
): string {
  const file = join(tempFolder(t), 'card.bin')
  makeSparseFile(file, bytes)
  return attachLoop(t, file, options)
}

/** A loop device with a file system, mounted. */
function mountedLoop(t: TestContext): { path: string; target: string } {
  const undo: (() => void)[] = []
  const folder = tempFolder(t, () => {
    for (const step of undo.reverse()) step()
  })
  const file = join(folder, 'disk')
  makeSparseFile(file, CARD_BYTES)
  const path = attachLoopDevice(file)
  undo.push(() => detachLoopDevice(path))
  assert.equal(run('mkfs.ext4', ['-q', path]).status, 0)
  const target = join(folder, 'mounted')
  mkdirSync(target)
  assert.equal(run('mount', [path, target]).status, 0)
  undo.push(() => run('umount', [target]))
  return { path, target }
}

/** What must not be written, as it really is on this machine. @returns undefined: this machine has none to see */
const taken: { what: string; plug(t: TestContext): Promise<string | undefined>; says: RegExp }[] = [
  {
    what: 'the system disk',
    plug: async () => (await listDrives()).find(({ system }) => system)?.path,
    says: /holds the running system/,
  },
  { what: 'a mounted drive', plug: async (t) => mountedLoop(t).path, says: /is mounted/ },
  {
    what: 'a drive in use as swap',
    async plug(t) {
      const undo = { swap: () => {} }
      const folder = tempFolder(t, () => undo.swap())
      const file = join(folder, 'swap')
      makeSparseFile(file, CARD_BYTES)
      const path = attachLoopDevice(file)
      undo.swap = () => {
        run('swapoff', [path])
        detachLoopDevice(path)
      }
      assert.equal(run('mkswap', [path]).status, 0)
      const { status, stderr } = run('swapon', ['--priority', '0', path])
      assert.equal(status, 0, stderr)
      return path
    },
    says: /is used as swap space/,
  },
  {
    what: 'a drive under another device',
    async plug(t) {
      const undo = { over: () => {} }
      const folder = tempFolder(t, () => undo.over())
      makeSparseFile(join(folder, 'disk'), CARD_BYTES)
      const path = attachLoopDevice(join(folder, 'disk'))
      const over = attachLoopDevice(path)
      undo.over = () => {
        detachLoopDevice(over)
        detachLoopDevice(path)
      }
      return path
    },
    says: /is part of \/dev\/loop\d+/,
  },
]

const OPTIONS = [{}, { unmount: true }, { serial: 'x' }]

for (const { what, plug, says } of taken) {
  test(`${what} is refused by each of its names`, async (t) => {
    if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
    const path = await plug(t)
    if (path === undefined) return t.skip(`${what} is not visible here`)
    const names = namesOf(t, path)
    for (const { how, path: name } of names)
      for (const options of OPTIONS)
        await assert.rejects(
          guard(name, options),
          (error: Error & { hint?: string }) => {
            assert.equal(error.name, 'DriveError', `${how}: ${error.message}`)
            assert.match(error.message, says, how)
            assert.ok(error.hint)
            return true
          },
          how,
        )
    figure(t, 'refused names', names.length)
  })
}

test('the card passes by each of its names, while all the others are there', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  for (const { plug } of taken) await plug(t)
  const card = insertCard(t)
  const names = namesOf(t, card)
  for (const { how, path } of names) assert.equal((await guard(path)).path, card, how)
  figure(t, 'accepted names', names.length)
})

/** Drives that are nobody's, and still not for writing; and what is no drive at all. */
const unfit: {
  what: string
  plug(t: TestContext): Promise<string | undefined>
  cache?: (path: string) => string
  says: RegExp
}[] = [
  {
    what: 'a write-protected card',
    plug: async (t) => insertCard(t, { readOnly: true }),
    says: /write-protected/,
  },
  {
    what: 'a card of 4 KiB sectors',
    plug: async (t) => insertCard(t, { sectorSize: 4096 }),
    says: /sectors of 4096/,
  },
  { what: 'a card that is too small', plug: async (t) => insertCard(t, {}, 32 * MiB), says: /is too small/ },
  {
    what: 'a drive above 256 GB without a serial',
    plug: async (t) => insertCard(t, {}, 300 * GiB),
    says: /more than cards/,
  },
  {
    what: 'a loop device over another one',
    plug: async (t) => attachLoop(t, insertCard(t)),
    says: /is a loop device over \/dev\/loop/,
  },
  {
    what: 'a second loop device over a mounted file',
    async plug(t) {
      const { path } = mountedLoop(t)
      const file = readFileSync(`/sys/class/block/${basename(path)}/loop/backing_file`, 'utf8').trim()
      const second = attachLoopDevice(file)
      t.after(() => detachLoopDevice(second))
      return second
    },
    says: /is mounted/,
  },
  {
    what: 'the drive of the cache',
    plug: async (t) => mountedLoop(t).path,
    cache: (path) => {
      const target = readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .find((line) => line.includes(` ${path} `))
      return join(target?.split(' ')[4] ?? '', 'cache')
    },
    says: /holds piimage's own cache/,
  },
  {
    what: 'a file of the cache as a drive',
    plug: async (t) => insertCard(t),
    cache: (path) =>
      join(readFileSync(`/sys/class/block/${basename(path)}/loop/backing_file`, 'utf8').trim(), '..'),
    says: /holds piimage's own cache/,
  },
  { what: 'a slash behind the name', plug: async (t) => `${insertCard(t)}/`, says: /^there is no / },
  { what: 'an empty name', plug: async () => '', says: /^there is no / },
  { what: 'a blank behind the name', plug: async (t) => `${insertCard(t)} `, says: /^there is no / },
  { what: 'a pattern', plug: async () => '/dev/loop*', says: /^there is no / },
  { what: 'a link to nothing', plug: async (t) => dangling(t), says: /^there is no / },
  { what: 'a link to itself', plug: async (t) => circular(t), says: /^there is no / },
  { what: 'a character device', plug: async () => '/dev/zero', says: /is a character device/ },
  {
    what: 'the control device of loops',
    plug: async () => '/dev/loop-control',
    says: /is a character device/,
  },
  { what: 'a folder', plug: async () => '/dev', says: /is a folder/ },
  { what: 'a link to a folder', plug: async () => '/proc/self/cwd', says: /is a folder/ },
  { what: 'a file', plug: async () => '/etc/passwd', says: /is a file/ },
  { what: 'a pipe', plug: async (t) => pipe(t), says: /is a pipe or socket/ },
  { what: 'a node of a device that is not there', plug: async (t) => absent(t), says: /has no medium in it/ },
]

const dangling = (t: TestContext) => link(t, '/dev/no-such-drive')
const circular = (t: TestContext) => link(t, 'link')
function link(t: TestContext, to: string): string {
  const path = join(tempFolder(t), 'link')
  symlinkSync(to, path)
  return path
}
function pipe(t: TestContext): string {
  const path = join(tempFolder(t), 'pipe')
  assert.equal(run('mkfifo', [path]).status, 0)
  return path
}
/** A floppy's major number, and a minor that nobody has. */
function absent(t: TestContext): string {
  const path = join(tempFolder(t), 'node')
  assert.equal(run('mknod', [path, 'b', '2', '251']).status, 0)
  return path
}

for (const { what, plug, cache, says } of unfit) {
  test(`${what} is refused`, async (t) => {
    if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
    const path = await plug(t)
    if (path === undefined) return t.skip(`${what} is not to be had here`)
    await assert.rejects(
      guard(path, cache === undefined ? {} : { cachePath: cache(path) }),
      (error: Error & { hint?: string }) => {
        assert.match(error.name, /^(DriveError|UsageError)$/, error.stack)
        assert.match(error.message, says)
        assert.ok(error.hint)
        return true
      },
    )
  })
}

test('a device node whose name ends in .img is not an image file', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  const card = insertCard(t)
  const [major = '', minor = ''] = numberOf(card).split(':')
  assert.equal(run('mknod', [project.file('card.img'), 'b', major, minor]).status, 0)
  symlinkSync(card, project.file('link.img'))
  const before = writesOf(card)
  for (const name of ['card.img', 'link.img'])
    for (const words of [
      ['flash', '--node', `oneil=${name}`, '--yes'],
      ['flash', '--node', 'oneil', name, '--yes'],
    ]) {
      const said = await project.piimage(...words)
      assert.equal(said.status, 2, said.stderr)
      assert.match(said.stderr, /is not a file/)
    }
  assert.equal(writesOf(card), before, 'nothing was written to it')
})

/** How often a device was written to: Documentation/block/stat.rst. */
const writesOf = (path: string): string | undefined =>
  readFileSync(`/sys/class/block/${basename(path)}/stat`, 'utf8')
    .trim()
    .split(/\s+/)[4]
