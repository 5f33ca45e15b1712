import assert from 'node:assert/strict'
import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FormatError, UsageError } from '../../src/errors.ts'
import { unpackFile, unpackStream } from '../../src/unpack/unpack.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { MiB, makeImage, noise, openTask } from './samples.ts'

const image = makeImage(7)

/** A folder with `files`, packed by zip(1). */
function zipped(
  t: TestContext,
  files: Record<string, Uint8Array>,
  args: readonly string[] = [],
): string | undefined {
  if (needTool(t, 'zip', 'zip') === undefined) return undefined
  const folder = tempFolder(t)
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
  const { status, stderr, stdout } = run('zip', ['-q', ...args, 'packed.zip', ...Object.keys(files)], {
    cwd: folder,
  })
  assert.equal(status, 0, stderr + stdout)
  return join(folder, 'packed.zip')
}

async function unpacked(t: TestContext, source: string, member?: string): Promise<Buffer> {
  const target = join(tempFolder(t), 'image')
  await unpackFile(member === undefined ? { source, target } : { source, target, member }, openTask())
  return readFileSync(target)
}

async function refused(t: TestContext, source: string, says: RegExp, member?: string): Promise<void> {
  const folder = tempFolder(t)
  const request = { source, target: join(folder, 'image'), ...(member === undefined ? {} : { member }) }
  await assert.rejects(
    unpackFile(request, openTask()),
    (error) => (error instanceof FormatError || error instanceof UsageError) && says.test(error.message),
  )
  assert.deepEqual(readdirSync(folder), [], 'nothing is kept')
}

for (const [name, args] of [
  ['deflated', []],
  ['stored', ['-0']],
  ['zip64 records', ['-fz']],
  ['with a comment and extra attributes', ['-9']],
] as const) {
  test(`zip: ${name}`, async (t) => {
    const source = zipped(t, { 'card.img': image, 'readme.txt': Buffer.from('hello') }, args)
    if (source !== undefined) assert.ok((await unpacked(t, source)).equals(image))
  })
}

test('zip: streamed, with data descriptors', async (t) => {
  if (needTool(t, 'sh', 'dash') === undefined || needTool(t, 'zip', 'zip') === undefined) return
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'card.img'), image)
  const { status, stderr } = run('sh', ['-c', 'zip -q -fd - card.img | cat > packed.zip'], { cwd: folder })
  assert.equal(status, 0, stderr)
  assert.ok((await unpacked(t, join(folder, 'packed.zip'))).equals(image))
})

test('zip: the named one of two images', async (t) => {
  const source = zipped(t, { 'a.img': noise(1000), 'b.IMG': image })
  if (source === undefined) return
  assert.ok((await unpacked(t, source, 'b.IMG')).equals(image))
  await refused(t, source, /should have one \.img, but has "a\.img", "b\.IMG"/)
  await refused(t, source, /should have one member "c\.img"/, 'c.img')
  await refused(t, source, /should have one member "\.\.\/b\.IMG"/, '../b.IMG')
})

test('zip: no image in it', async (t) => {
  const source = zipped(t, { 'a.txt': noise(1000) })
  if (source !== undefined) await refused(t, source, /but has "a\.txt"/)
})

test('zip: encrypted', async (t) => {
  const source = zipped(t, { 'card.img': image }, ['-P', 'secret'])
  if (source !== undefined) await refused(t, source, /encrypted/)
})

test('zip: another method', async (t) => {
  const source = zipped(t, { 'card.img': image }, ['-Z', 'bzip2'])
  if (source !== undefined) await refused(t, source, /packed by method 12/)
})

/** A zip of these names, in order, each with its bytes' length times `x`. */
function zippedAs(t: TestContext, names: Record<string, number>): string | undefined {
  if (needTool(t, 'python3', 'python3') === undefined) return undefined
  const source = join(tempFolder(t), 'packed.zip')
  const script = `import zipfile, json, sys\nz=zipfile.ZipFile(sys.argv[1],'w')\nfor name, size in json.loads(sys.argv[2]).items(): z.writestr(name, b'x'*size)\nz.close()`
  const { status, stderr } = run('python3', ['-c', script, source, JSON.stringify(names)])
  assert.equal(status, 0, stderr)
  return source
}

const inFolders: { names: Record<string, number>; member?: string; bytes: number }[] = [
  { names: { 'img/': 0, 'img/a.img': 5000 }, bytes: 5000 },
  { names: { 'a/b/c/card.IMG': 5000, 'a/readme.txt': 10 }, bytes: 5000 },
  { names: { 'img/a.img': 5000, '__MACOSX/img/._a.img': 120 }, bytes: 5000 },
  { names: { 'old/a.img': 100, 'b.img': 6000 }, bytes: 6000 },
  { names: { 'img/a.img': 5000, 'img/b.img': 6000 }, member: 'img/b.img', bytes: 6000 },
]
test('zip: an image in a folder', async (t) => {
  for (const { names, member, bytes } of inFolders) {
    const source = zippedAs(t, names)
    if (source === undefined) return
    assert.equal((await unpacked(t, source, member)).length, bytes, Object.keys(names).join(' '))
  }
  const two = zippedAs(t, { 'img/a.img': 5000, 'img/b.img': 6000 })
  if (two !== undefined) await refused(t, two, /should have one \.img, but has "img\/a\.img", "img\/b\.img"/)
})

test('zip: a name that leads elsewhere', async (t) => {
  for (const name of ['../card.img', '/card.img', 'folder\\card.img']) {
    const source = zippedAs(t, { [name]: 5000 })
    if (source !== undefined) await refused(t, source, /invalid|absolute path/)
  }
})

/** Offset of the first central directory entry. */
const directoryOf = (packed: Buffer): number => packed.lastIndexOf(Buffer.from('PK\x01\x02', 'latin1'))

const damages: { name: string; args: string[]; damage: (packed: Buffer) => Buffer; says: RegExp }[] = [
  {
    name: 'a flipped bit in stored bytes',
    args: ['-0'],
    damage: (p) => flip(p, 1 * MiB),
    says: /fails its CRC-32/,
  },
  {
    name: 'a flipped bit in deflated bytes',
    args: [],
    damage: (p) => flip(p, 1 * MiB),
    says: /damaged zip file/,
  },
  {
    name: 'another CRC in the directory',
    args: [],
    damage: (p) => flip(p, directoryOf(p) + 16),
    says: /fails its CRC-32/,
  },
  {
    name: 'a smaller size in the directory',
    args: [],
    damage: (p) => flip(p, directoryOf(p) + 24, 1),
    says: /unpacks to .* directory gives/,
  },
  {
    name: 'a larger packed size in the directory',
    args: [],
    damage: (p) => flip(p, directoryOf(p) + 20, 2),
    says: /damaged zip file/,
  },
  { name: 'the end missing', args: [], damage: (p) => p.subarray(0, p.length - 5), says: /damaged zip file/ },
  {
    name: 'half of it missing',
    args: [],
    damage: (p) => p.subarray(0, p.length / 2),
    says: /damaged zip file/,
  },
  {
    name: 'bytes behind its end',
    args: [],
    damage: (p) => Buffer.concat([p, noise(100)]),
    says: /damaged zip file/,
  },
]

function flip(packed: Buffer, at: number, mask = 0x10): Buffer {
  const copy = Buffer.from(packed)
  copy[at] = (copy[at] ?? 0) ^ mask
  return copy
}

for (const { name, args, damage, says } of damages) {
  test(`damaged zip: ${name}`, async (t) => {
    const source = zipped(t, { 'card.img': image }, args)
    if (source === undefined) return
    writeFileSync(source, damage(readFileSync(source)))
    await refused(t, source, says)
  })
}

test('zip: more than 4 GiB, in zip64', async (t) => {
  if (needTool(t, 'zip', 'zip') === undefined) return
  const folder = tempFolder(t)
  const size = 4.25 * 1024 * MiB
  const file = openSync(join(folder, 'card.img'), 'w')
  writeSync(file, image)
  writeSync(file, Buffer.from('the end'), 0, 7, size - 7)
  ftruncateSync(file, size)
  closeSync(file)
  const { status, stderr } = run('zip', ['-q', '-1', 'packed.zip', 'card.img'], { cwd: folder })
  assert.equal(status, 0, stderr)
  // Only the shape is judged, in what goes by: comparing 4 GiB of zeroes would cost more than it says.
  let last = Buffer.alloc(0)
  const { size: got } = await unpackStream(
    { source: join(folder, 'packed.zip') },
    (bytes, offset) => {
      if (offset === 0) assert.ok(bytes.equals(image.subarray(0, MiB)))
      last = Buffer.from(bytes.subarray(-7))
    },
    openTask(),
  )
  assert.equal(got, size)
  assert.equal(last.toString(), 'the end')
  assert.ok(statSync(join(folder, 'packed.zip')).size < 40 * MiB)
})
