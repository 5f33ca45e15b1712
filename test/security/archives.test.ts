/** Archives from a stranger, through whole commands: a zip as an image, a tar of a root on a server of diskless nodes. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32, deflateRawSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { lookThroughArchive } from '../../src/netroot/archive-source.ts'
import { extractArchive } from '../../src/tree/extract-archive.ts'
import { GiB, MiB } from '../../src/units.ts'
import { listing } from '../netroot/diskless.ts'
import { hatProject, STATE } from '../netroot/hat-project.ts'
import { held } from '../support/attack.ts'
import { DEMO_IMAGE, demoProject, unpackDemo } from '../support/project.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

interface Member {
  name: string
  bytes: Uint8Array
  /** What the directory says of its size, when it lies. */
  size?: number
  /** Of the file's mode, as Unix writes it: a link is 0o120777. */
  mode?: number
}

/** A zip as PKWARE's APPNOTE 6.3 has it, of whatever names. */
function zipOf(members: readonly Member[]): Buffer {
  const local: Buffer[] = []
  const central: Buffer[] = []
  let at = 0
  for (const { name, bytes, size = bytes.length, mode = 0o100644 } of members) {
    const packed = deflateRawSync(bytes)
    const named = Buffer.from(name)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(0x800, 2)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(size, 18)
    common.writeUInt16LE(named.length, 22)
    local.push(Buffer.from('PK\x03\x04'), common, named, packed)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(mode * 0x10000, 6)
    rest.writeUInt32LE(at, 10)
    central.push(Buffer.from('PK\x01\x02'), Buffer.of(20, 3), common, rest, named)
    at += 30 + named.length + packed.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 0, 'latin1')
  end.writeUInt16LE(members.length, 8)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...local, directory, end])
}

/** The demo cluster whose image is this zip. */
function zipProject(t: TestContext, zip: Uint8Array) {
  const project = demoProject(t)
  writeFileSync(project.file('card.zip'), zip)
  const lock = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8'))
  const entry = lock.images[DEMO_IMAGE]
  Object.assign(entry, { url: 'file:card.zip', format: 'zip', extracted: null })
  Object.assign(entry.download, {
    size: zip.length,
    sha256: createHash('sha256').update(zip).digest('hex'),
  })
  writeFileSync(project.file('images.lock.json'), JSON.stringify(lock))
  return project
}

test('an image in a zip: names that lead elsewhere, twins, links, bombs', async (t) => {
  const demo = unpackDemo(demoProject(t))
  const image = { name: 'card.img', bytes: demo }
  const small = (name: string, more: Partial<Member> = {}): Member => ({
    name,
    bytes: Buffer.from('evil'),
    ...more,
  })
  const zeroes = (bytes: number) => ({ name: 'card.img', bytes: Buffer.alloc(bytes) })
  const tricks: Record<string, Member[]> = {
    'a name above': [{ ...image, name: '../../evil.img' }],
    'an absolute name': [{ ...image, name: '/tmp/evil.img' }],
    'a name of Windows': [{ ...image, name: '..\\evil.img' }],
    'a drive of Windows': [{ ...image, name: 'C:/evil.img' }],
    'two members': [image, { ...image, name: 'other.img' }],
    'one name twice': [image, small('card.img')],
    'a link in the place of the image': [small('card.img', { mode: 0o120777 })],
    'a zip in the zip': [{ name: 'card.img', bytes: zipOf([image]) }],
    'a bomb of a ratio of 1000': [zeroes(64 * MiB)],
    'more comes out than it says': [{ ...zeroes(64 * MiB), size: MiB }],
    'it says 4 GiB and has 1 MiB': [{ ...zeroes(MiB), size: 0xffff_fff0 }],
    'a name that commands the terminal': [small('x\x1b]0;owned\x07\r.img'), small('y.img')],
    'names of 60 kB': [small(`${'n'.repeat(60_000)}.img`), small(`${'m'.repeat(60_000)}.img`)],
    'no image at all': [small('readme.txt')],
  }
  for (const [what, members] of Object.entries(tricks)) {
    const project = zipProject(t, zipOf(members))
    const said = await project.piimage('bake', '--node', 'oneil', '--output', project.file('out'))
    // A name is never a path, so one that leads elsewhere may be taken: it leads nowhere.
    const isNamed = members.length === 1 && members[0]?.bytes === demo
    if (!isNamed) assert.notEqual(said.status, 0, what)
    const made = existsSync(project.file('out')) ? readdirSync(project.file('out')) : []
    assert.equal(made.length > 0, said.status === 0, `${what}: ${made}`)
    assert.doesNotMatch(said.stderr, /bug in piimage/, what)
    assert.doesNotMatch(said.stderr.replaceAll('\n', ''), /\p{Cc}/u, what)
    assert.ok(said.stderr.length < 5000, `${what}: ${said.stderr.length} characters`)
    const written = readdirSync(project.folder, { recursive: true, encoding: 'utf8' })
    assert.ok(!written.some((path) => path.includes('evil')), what)
    for (const from of ['/tmp/x', project.folder, project.file('cache/x'), process.cwd()])
      for (const up of ['..', '../..']) assert.ok(!existsSync(join(from, up, 'evil.img')), what)
  }
  const whole = zipProject(t, zipOf([image]))
  const baked = await whole.piimage('bake', '--node', 'oneil', '--output', whole.file('out'))
  assert.equal(baked.status, 0, baked.stderr)
  held(t, Object.keys(tricks).length)
})

type Header = Parameters<ReturnType<typeof pack>['entry']>[0]

/** Entries of a tar as bytes, without its end; `bytes` of a file. */
async function entries(headers: readonly (Header & { bytes?: Buffer })[]): Promise<Buffer> {
  const archive = pack()
  for (const { bytes, ...header } of headers)
    archive.entry({ mtime: new Date(0), ...header }, header.type === undefined ? (bytes ?? 'evil') : '')
  archive.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of archive) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks).subarray(0, -1024)
}

/** One record of a pax header. */
function pax(keyword: string, value: string): Buffer {
  const rest = ` ${keyword}=${value}\n`
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.from(`${length}${rest}`)
}

/** An entry's pax header: `records` as they are. */
const paxEntry = (records: Buffer): Promise<Buffer> =>
  entries([{ name: 'pax', bytes: records }]).then((block) => {
    block.write('x', 156, 'latin1')
    const sum = block
      .subarray(0, 512)
      .reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0)
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    return block
  })

test('a root for diskless nodes: names and links that lead out, twins, too much of everything', async (t) => {
  if (!needRoot(t) || needTool(t, 'xz', 'xz-utils') === undefined) return
  const holes = (size: string) =>
    Buffer.concat([
      pax('GNU.sparse.size', size),
      pax('GNU.sparse.numblocks', '0'),
      pax('GNU.sparse.map', ''),
      pax('path', 'boot/hole'),
    ])
  const sparse = async (size: string) =>
    Buffer.concat([await paxEntry(holes(size)), await entries([{ name: 'hole', bytes: Buffer.alloc(0) }])])
  const link = (name: string, linkname: string): Header => ({ name, type: 'symlink', linkname })
  const tricks: Record<string, { put: Buffer; says: RegExp }> = {
    'a file above': { put: await entries([{ name: '../evil' }]), says: /leads out/ },
    'an absolute file': { put: await entries([{ name: '/etc/cron.d/evil' }]), says: /absolute/ },
    'through a link': {
      put: await entries([link('etc2', '/etc'), { name: 'etc2/evil' }]),
      says: /which is a symlink/,
    },
    'the boot folder is a link': {
      put: await entries([link('boot', '/root')]),
      says: /which is a symlink|there twice/,
    },
    'a hard link to a file of the server': {
      put: await entries([{ name: 'boot/shadow', type: 'link', linkname: '/etc/shadow' }]),
      says: /absolute/,
    },
    'a hard link above': {
      put: await entries([{ name: 'boot/shadow', type: 'link', linkname: '../../../etc/shadow' }]),
      says: /leads out/,
    },
    'one file twice': {
      put: await entries([{ name: 'etc/hosts' }]),
      says: /there twice/,
    },
    'a name with escape codes': {
      put: await entries([{ name: 'x\x1b]0;owned\x07\x1b[2K\r' }, { name: 'x\x1b]0;owned\x07\x1b[2K\r' }]),
      says: /there twice/,
    },
    'a name of 1 MB': {
      put: Buffer.concat([
        await paxEntry(pax('path', 'n'.repeat(1_000_000))),
        await entries([{ name: 'n' }]),
      ]),
      says: /name of 1000000 characters/,
    },
    'a link to a name of 1 MB': {
      put: Buffer.concat([
        await paxEntry(pax('linkpath', 'n'.repeat(1_000_000))),
        await entries([link('n', 'n')]),
      ]),
      says: /name of 1000000 characters/,
    },
    'a hole of 9 PB': { put: await sparse('9007199254740991'), says: /holds more than 68\.7 GB/ },
    'holes of 40 GB and 40 GB': {
      put: Buffer.concat([
        await sparse('40000000000'),
        Buffer.from(
          (await sparse('40000000000')).toString('latin1').replaceAll('boot/hole', 'boot/hol2'),
          'latin1',
        ),
      ]),
      says: /holds more than 68\.7 GB/,
    },
  }
  for (const [what, { put, says }] of Object.entries(tricks)) {
    const project = hatProject(t, {
      replace: (tar) => Buffer.concat([put, tar]),
    })
    const said = await project.netroot('--root-mode', 'copy')
    assert.match(said.stderr, says, what)
    assert.doesNotMatch(said.stderr.replaceAll('\n', ''), /\p{Cc}/u, what)
    assert.doesNotMatch(said.stderr, /bug in piimage/, what)
    assert.ok(said.stderr.length < 5000, what)
    assert.notEqual(said.status, 0, what)
    assert.ok(!existsSync(project.server(`${STATE}/nodes/oneil/current`)), what)
    assert.ok(!existsSync('/etc/cron.d/evil') && !existsSync('/etc/evil'), what)
    rmSync(project.folder, { recursive: true })
  }
  held(t, Object.keys(tricks).length)
})

test('a root for diskless nodes: links, devices and set-user-ID among the boot files lead nowhere', async (t) => {
  if (!needRoot(t) || needTool(t, 'xz', 'xz-utils') === undefined) return
  const secret = join(tempFolder(t), 'secret')
  writeFileSync(secret, 'a secret of the server\n', { mode: 0o600 })
  const project = hatProject(t, {
    change(tree) {
      const boot = join(tree, 'boot/firmware')
      symlinkSync(secret, join(boot, 'absolute.txt'))
      symlinkSync(`../../../../../../../../../../../..${secret}`, join(boot, 'above.txt'))
      symlinkSync('/', join(boot, 'overlays'))
      symlinkSync('.', join(boot, 'round'))
      linkSync(join(boot, 'start.elf'), join(boot, 'start_again.elf'))
      for (const words of [
        ['sda', 'b', '8', '0'],
        ['mem', 'c', '1', '1'],
        ['fifo', 'p'],
      ])
        assert.equal(run('mknod', ['-m', '666', join(boot, words[0] ?? ''), ...words.slice(1)]).status, 0)
      writeFileSync(join(boot, 'root-shell'), '#!/bin/sh\n')
      chmodSync(join(boot, 'root-shell'), 0o6755)
      writeFileSync(join(tree, 'usr/bin/su'), '#!/bin/sh\n')
      chmodSync(join(tree, 'usr/bin/su'), 0o4755)
    },
  })
  const said = await project.netroot('--root-mode', 'copy')
  assert.equal(said.status, 0, said.stderr)
  const boot = project.server(`${STATE}/nodes/oneil/current/boot`)
  const lines = listing(boot)
  assert.ok(lines.some((line) => line.includes(' start_again.elf ')))
  // The one link is piimage's own, to the folder itself.
  for (const line of lines) assert.match(line, /^(100[0-7](44|55) |40[0-7]{3} |120777 0:0 firmware \.$)/)
  const leaked = createHash('sha256').update(readFileSync(secret)).digest('hex')
  assert.ok(!lines.some((line) => line.includes(leaked)))
  assert.equal(lstatSync(secret).mode & 0o777, 0o600)
  // What lies in the root is behind folders of root's own, and mounted without devices and set-user-ID.
  const unmount = project.mount()
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(project.server('/')))
  assert.ok(mounts.length > 0)
  for (const line of mounts) assert.match(line.split(' ')[5] ?? '', /nosuid.*nodev|nodev.*nosuid/, line)
  unmount()
  held(t, 9)
})

test('a root for diskless nodes: what would fill the memory', async (t) => {
  const file = join(tempFolder(t), 'x.tar')
  const tricks: Record<string, { put: Buffer; says: RegExp }> = {
    'a quarter of a GiB of attributes': {
      put: Buffer.concat(Array(5).fill(await paxEntry(pax('SCHILY.xattr.user.x', 'x'.repeat(60 * MiB))))),
      says: /bytes of names and attributes/,
    },
    'small files without end': {
      put: await entries(
        Array.from({ length: 2100 }, (_, index) => ({ name: `etc/${index}`, bytes: Buffer.alloc(65_536) })),
      ),
      says: /of small files in boot and etc/,
    },
  }
  for (const [what, { put, says }] of Object.entries(tricks)) {
    writeFileSync(file, put)
    await assert.rejects(lookThroughArchive(file, recordTask()), says, what)
  }
  held(t, Object.keys(tricks).length)
})

test('a hole is read no longer than the signal says', async (t) => {
  const folder = tempFolder(t)
  const tar = Buffer.concat([
    await paxEntry(
      Buffer.concat([
        pax('GNU.sparse.size', String(60 * GiB)),
        pax('GNU.sparse.numblocks', '0'),
        pax('GNU.sparse.map', ''),
      ]),
    ),
    await entries([{ name: 'hole', bytes: Buffer.alloc(0) }]),
    Buffer.alloc(1024),
  ])
  writeFileSync(join(folder, 'x.tar'), tar)
  const controller = new AbortController()
  const stopped = new Error('stopped')
  const extraction = extractArchive(
    join(folder, 'x.tar'),
    join(folder, 'root'),
    recordTask(() => {}, controller.signal),
    { owners: false },
  )
  void sleep(50).then(() => controller.abort(stopped))
  await assert.rejects(extraction, stopped)
  assert.deepEqual(readdirSync(folder), ['x.tar'])
  held(t, 1)
})
