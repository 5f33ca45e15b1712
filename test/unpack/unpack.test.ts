import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { DigestError } from '../../src/digest.ts'
import { FetchError, FormatError, InterruptedError, UsageError } from '../../src/errors.ts'
import type { PackFormat } from '../../src/unpack/sniff.ts'
import { unpackFile, unpackStream } from '../../src/unpack/unpack.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool } from '../support/tools.ts'
import { filter, MiB, makeImage, noise, openTask, save, sha256 } from './samples.ts'

const image = makeImage(123)
const half = Math.floor(image.length / 2)
const halves = [image.subarray(0, half), image.subarray(half)] as const

const xz = (...args: string[]) => filter('xz', ['-c', ...args], image)
const twoXz = (between: Uint8Array) =>
  Buffer.concat([filter('xz', ['-c'], halves[0]), between, filter('xz', ['-c', '--check=crc32'], halves[1])])
const zstd = (...args: string[]) => filter('zstd', ['-q', '-c', ...args], image)

type Good = { name: string; format: PackFormat; make: () => Buffer; tool?: [string, string]; total: boolean }
const XZ: [string, string] = ['xz', 'xz-utils']
const ZSTD: [string, string] = ['zstd', 'zstd']
const good: Good[] = [
  { name: 'raw', format: 'img', make: () => image, total: true },
  { name: 'xz one block', format: 'xz', make: () => xz('-T1'), tool: XZ, total: true },
  { name: 'xz many blocks', format: 'xz', make: () => xz('-T0', '--block-size=1MiB'), tool: XZ, total: true },
  {
    name: 'xz tiny blocks',
    format: 'xz',
    make: () => xz('-0', '-T2', '--block-size=20000'),
    tool: XZ,
    total: true,
  },
  {
    name: 'xz blocks without sizes',
    format: 'xz',
    make: () => xz('-T1', '--block-size=999999'),
    tool: XZ,
    total: true,
  },
  { name: 'xz -9', format: 'xz', make: () => xz('-9', '-T0'), tool: XZ, total: true },
  { name: 'xz check none', format: 'xz', make: () => xz('--check=none'), tool: XZ, total: true },
  {
    name: 'xz check crc32',
    format: 'xz',
    make: () => xz('--check=crc32', '--block-size=1MiB'),
    tool: XZ,
    total: true,
  },
  {
    name: 'xz check sha256',
    format: 'xz',
    make: () => xz('--check=sha256', '--block-size=1MiB'),
    tool: XZ,
    total: true,
  },
  { name: 'xz x86 filter', format: 'xz', make: () => xz('--x86', '--lzma2'), tool: XZ, total: true },
  {
    name: 'xz delta filter',
    format: 'xz',
    make: () => xz('--delta=dist=4', '--lzma2'),
    tool: XZ,
    total: true,
  },
  { name: 'xz dictionary 96 MiB', format: 'xz', make: () => xz('--lzma2=dict=96MiB'), tool: XZ, total: true },
  { name: 'xz two streams', format: 'xz', make: () => twoXz(Buffer.alloc(0)), tool: XZ, total: true },
  {
    name: 'xz two streams, padding',
    format: 'xz',
    make: () => twoXz(Buffer.alloc(8)),
    tool: XZ,
    total: true,
  },
  {
    name: 'xz padding behind',
    format: 'xz',
    make: () => Buffer.concat([xz(), Buffer.alloc(70_000)]),
    tool: XZ,
    total: true,
  },
  {
    name: 'xz empty stream first',
    format: 'xz',
    make: () => Buffer.concat([filter('xz', ['-c'], Buffer.alloc(0)), xz()]),
    tool: XZ,
    total: true,
  },
  { name: 'gzip', format: 'gz', make: () => gzipSync(image), total: false },
  {
    name: 'gzip members',
    format: 'gz',
    make: () => Buffer.concat(halves.map((part) => gzipSync(part))),
    total: false,
  },
  { name: 'zstd', format: 'zst', make: () => zstd(), tool: ZSTD, total: false },
  { name: 'zstd --long=31', format: 'zst', make: () => zstd('--long=31'), tool: ZSTD, total: false },
  {
    name: 'zstd frames',
    format: 'zst',
    make: () => Buffer.concat(halves.map((part) => filter('zstd', ['-q', '-c'], part))),
    tool: ZSTD,
    total: false,
  },
  {
    name: 'zstd skippable frames',
    format: 'zst',
    make: () => filter('pzstd', ['-q', '-c', '-p', '2'], image),
    tool: ['pzstd', 'zstd'],
    total: false,
  },
]

for (const { name, format, make, tool, total } of good) {
  test(`unpackFile: ${name}`, async (t) => {
    if (tool !== undefined && needTool(t, ...tool) === undefined) return
    const folder = tempFolder(t)
    const source = save(join(folder, 'packed'), make())
    const expected = { size: image.length, sha256: sha256(image) }
    // Without an expectation the format's own checks are tested; with one, the digest.
    for (const wanted of [null, expected]) {
      const target = join(folder, `image-${wanted === null}`)
      const task = openTask()
      const unpacked = await unpackFile({ source, target, expected: wanted }, task)
      assert.deepEqual(unpacked, { ...expected, format })
      assert.ok(readFileSync(target).equals(image), 'every byte')
      assert.ok(statSync(target).blocks * 512 < image.length - 2 * MiB, 'zeroes became holes')
      const last = task.reports.at(-1)
      assert.deepEqual(last, {
        phase: 'unpack',
        subject: 'packed',
        bytes: image.length,
        totalBytes: total || wanted !== null ? image.length : null,
      })
    }
  })
}

test('unpackStream: aligned chunks in order, one at a time', async (t) => {
  if (needTool(t, ...XZ) === undefined) return
  const source = save(join(tempFolder(t), 'packed'), xz('-T0', '--block-size=777777'))
  let end = 0
  let busy = false
  const unpacked = await unpackStream(
    { source },
    async (bytes, offset) => {
      assert.equal(busy, false, 'not before the last one was taken')
      busy = true
      assert.equal(offset, end)
      assert.ok(bytes.length === MiB || offset + bytes.length === image.length)
      const copy = Buffer.from(bytes)
      await new Promise((resolve) => setTimeout(resolve, 3))
      assert.ok(bytes.equals(copy), 'the bytes stay until they are taken')
      assert.ok(copy.equals(image.subarray(offset, offset + copy.length)))
      end += bytes.length
      busy = false
    },
    openTask(),
  )
  assert.equal(end, unpacked.size)
})

test('unpackStream: what onChunk throws is what comes out, and nothing stays behind', async (t) => {
  if (needTool(t, ...XZ) === undefined) return
  const source = save(join(tempFolder(t), 'packed'), xz('-T0', '--block-size=1MiB'))
  const onChunk = async () => {
    throw new FetchError('the reader had enough')
  }
  await assert.rejects(unpackStream({ source }, onChunk, openTask()), /the reader had enough/)
})

async function assertRefused(
  t: TestContext,
  packed: Uint8Array,
  request: { expected?: { size: number | null; sha256: string }; maxBytes?: number; member?: string },
  expectation: { error: new (...args: never[]) => Error; says: RegExp },
): Promise<void> {
  const folder = tempFolder(t)
  const source = save(join(folder, 'packed'), packed)
  const target = join(folder, 'image')
  await assert.rejects(unpackFile({ source, target, ...request }, openTask()), (error) => {
    assert.ok(error instanceof expectation.error, `${error}`)
    assert.match(error.message, expectation.says)
    assert.match(error.message, /packed/, 'names the file')
    return true
  })
  assert.deepEqual(readdirSync(folder), ['packed'], 'nothing is kept')
}

const digest = sha256(image)
const bombs: { name: string; packed: () => Buffer }[] = [
  { name: 'raw', packed: () => image },
  { name: 'xz', packed: () => xz('--block-size=1MiB') },
  { name: 'gzip', packed: () => gzipSync(image) },
  { name: 'zstd', packed: () => zstd() },
]
for (const { name, packed } of bombs) {
  test(`unpackFile refuses another image: ${name}`, async (t) => {
    if (name === 'xz' && needTool(t, ...XZ) === undefined) return
    if (name === 'zstd' && needTool(t, ...ZSTD) === undefined) return
    const bytes = packed()
    const wrong = digest.replace(/^./, (first) => (first === '0' ? '1' : '0'))
    const sized = (size: number | null, sum = digest) => ({ expected: { size, sha256: sum } })
    const tooLong = { error: FetchError, says: /more than \d+ bytes; images.lock.json says/ }
    await assertRefused(t, bytes, sized(image.length - 1), tooLong)
    await assertRefused(t, bytes, sized(MiB), tooLong)
    await assertRefused(t, bytes, sized(image.length + 1), {
      error: FetchError,
      says: /unpacks to \d+ bytes; /,
    })
    await assertRefused(t, bytes, sized(null, wrong), {
      error: DigestError,
      says: new RegExp(`${digest}.*${wrong}`),
    })
    await assertRefused(t, bytes, { maxBytes: 3 * MiB }, { error: FormatError, says: /more than 3.1 MB/ })
  })
}

test('unpackFile: zeroes that become holes count as bytes', async (t) => {
  const bomb = gzipSync(Buffer.concat([image.subarray(0, 512), Buffer.alloc(40 * MiB)]))
  await assertRefused(t, bomb, { maxBytes: 20 * MiB }, { error: FormatError, says: /more than/ })
})

test('unpackFile: a source that is not there', async (t) => {
  const folder = tempFolder(t)
  const request = { source: join(folder, 'absent'), target: join(folder, 'image') }
  await assert.rejects(unpackFile(request, openTask()), FetchError)
  await assert.rejects(unpackFile({ ...request, source: folder }, openTask()), FetchError)
  assert.deepEqual(readdirSync(folder), [])
})

test('unpackFile: a target that is not a regular file is refused and left', async (t) => {
  const source = save(join(tempFolder(t), 'packed'), image)
  await assert.rejects(unpackFile({ source, target: '/dev/null' }, openTask()), UsageError)
  assert.ok(existsSync('/dev/null'))
})

test('unpackFile: what was in the target before is gone', async (t) => {
  const folder = tempFolder(t)
  const source = save(join(folder, 'packed'), gzipSync(image))
  const target = join(folder, 'image')
  writeFileSync(target, noise(image.length + MiB))
  await unpackFile({ source, target }, openTask())
  assert.ok(readFileSync(target).equals(image))
})

for (const [name, make] of [
  ['raw', () => Buffer.concat([image, noise(64 * MiB)])],
  ['xz', () => filter('xz', ['-0', '-c', '--block-size=2MiB'], noise(24 * MiB))],
  ['xz by the program', () => filter('xz', ['-c', '--x86', '--lzma2=preset=0'], noise(16 * MiB))],
  ['gzip', () => gzipSync(noise(24 * MiB), { level: 1 })],
  ['zstd', () => filter('zstd', ['-q', '-1', '-c'], noise(24 * MiB))],
] as const) {
  test(`unpackFile: stops when asked, and leaves nothing: ${name}`, async (t) => {
    if (name.startsWith('xz') && needTool(t, ...XZ) === undefined) return
    if (name === 'zstd' && needTool(t, ...ZSTD) === undefined) return
    const folder = tempFolder(t)
    const source = save(join(folder, 'packed'), make())
    const task = openTask()
    const report = () => task.stop()
    const unpacking = unpackFile({ source, target: join(folder, 'image') }, { ...task, report })
    await assert.rejects(unpacking, InterruptedError)
    assert.deepEqual(readdirSync(folder), ['packed'])
  })
}

test('unpackFile: asked to stop before it began', async (t) => {
  const folder = tempFolder(t)
  const source = save(join(folder, 'packed'), image)
  const task = openTask()
  task.stop()
  await assert.rejects(unpackFile({ source, target: join(folder, 'image') }, task), InterruptedError)
  assert.deepEqual(readdirSync(folder), ['packed'])
})
