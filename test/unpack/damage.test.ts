/** Every way a file can be damaged, for every format: an error with file and place, and no target. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { crc32, gzipSync } from 'node:zlib'
import { FormatError } from '../../src/errors.ts'
import { unpackFile } from '../../src/unpack/unpack.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool } from '../support/tools.ts'
import { filter, makeImage, noise, openTask, save, sha256 } from './samples.ts'

// Noise at the end: a flip in a deflated run of zeroes can give the same zeroes.
const image = Buffer.concat([makeImage(), noise(100_000, 3)])
const digest = sha256(image)

const flip = (bytes: Buffer, at: number, mask = 0x10): Buffer => {
  const copy = Buffer.from(bytes)
  const place = at < 0 ? copy.length + at : at
  copy[place] = (copy[place] ?? 0) ^ mask
  return copy
}

/** Unpacking fails as damaged, or (only for a flip that changes nothing) gives the true image. */
async function outcome(t: TestContext, packed: Buffer): Promise<Error | 'image'> {
  const folder = tempFolder(t)
  const source = save(join(folder, 'packed'), packed)
  try {
    const { sha256: got } = await unpackFile({ source, target: join(folder, 'image') }, openTask())
    assert.equal(got, digest, 'what comes out without an error is the image')
    return 'image'
  } catch (error) {
    assert.deepEqual(readdirSync(folder), ['packed'], 'nothing is kept')
    assert.ok(error instanceof FormatError, `${error}`)
    assert.match(error.message, /packed/)
    return error
  }
}

const formats: { name: string; tools: [string, string][]; make: () => Buffer }[] = [
  {
    name: 'xz crc64',
    tools: [['xz', 'xz-utils']],
    make: () => filter('xz', ['-c', '-T2', '--block-size=1MiB'], image),
  },
  { name: 'xz crc32', tools: [['xz', 'xz-utils']], make: () => filter('xz', ['-c', '--check=crc32'], image) },
  {
    name: 'xz sha256',
    tools: [['xz', 'xz-utils']],
    make: () => filter('xz', ['-c', '--check=sha256', '--block-size=3MiB'], image),
  },
  {
    name: 'xz x86',
    tools: [['xz', 'xz-utils']],
    make: () => filter('xz', ['-c', '--x86', '--lzma2'], image),
  },
  { name: 'gzip', tools: [], make: () => gzipSync(image) },
  { name: 'zstd', tools: [['zstd', 'zstd']], make: () => filter('zstd', ['-q', '-c'], image) },
]

for (const { name, tools, make } of formats) {
  const present = (t: TestContext) => tools.every(([tool, debian]) => needTool(t, tool, debian) !== undefined)
  const refused = async (t: TestContext, packed: Buffer, what: string) =>
    assert.notEqual(await outcome(t, packed), 'image', what)

  test(`damaged ${name}: truncated anywhere`, async (t) => {
    if (!present(t)) return
    const packed = make()
    for (const length of [
      30,
      1000,
      packed.length / 3,
      packed.length / 2,
      packed.length - 13,
      packed.length - 4,
      packed.length - 1,
    ]) {
      await refused(t, packed.subarray(0, Math.floor(length)), `cut to ${length} of ${packed.length}`)
    }
  })

  test(`damaged ${name}: bytes behind the end`, async (t) => {
    if (!present(t)) return
    const packed = make()
    for (const behind of ['x', 'garbage', 'much more garbage than that', '\0', packed.subarray(0, 100)]) {
      await refused(t, Buffer.concat([packed, Buffer.from(behind)]), `followed by ${behind.length} bytes`)
    }
  })

  test(`damaged ${name}: a flipped bit`, async (t) => {
    if (!present(t)) return
    const packed = make()
    // The first 20 and last 40 bytes: headers, index, footers, sums; then places between.
    const places = [
      ...Array.from({ length: 14 }, (_, i) => i),
      ...Array.from({ length: 40 }, (_, i) => -1 - i),
      ...Array.from({ length: 20 }, (_, i) => 20 + Math.floor(((packed.length - 60) * i) / 20)),
    ]
    let harmless = 0
    for (const place of places) if ((await outcome(t, flip(packed, place))) === 'image') harmless += 1
    // gzip doesn't protect its header's time, flags and system; zstd's frame header has unused bits.
    assert.ok(harmless <= (name.startsWith('xz') ? 0 : 6), `${harmless} flips went unseen`)
  })
}

test('damaged xz: the message says which block, by its offset', async (t) => {
  if (needTool(t, 'xz', 'xz-utils') === undefined) return
  const packed = filter('xz', ['-c', '--block-size=1MiB'], image)
  const error = await outcome(t, flip(packed, 1_200_000))
  assert.ok(error instanceof FormatError)
  assert.match(error.message, /is a damaged xz file: the block there .* at byte \d+$/)
  const offset = Number(/(\d+)$/.exec(error.message)?.[1])
  assert.ok(offset > 12 && offset < 1_200_000)
  assert.match(error.hint ?? '', /Download it again/)
})

/** An .xz whose index says what it likes, with right CRCs. */
function lyingXz(records: readonly number[]): Buffer {
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    return bytes
  }
  const flags = Buffer.from([0, 0])
  const body = Buffer.alloc(Math.ceil(records.length / 4) * 4)
  body.set(records)
  const index = Buffer.concat([body, u32(crc32(body))])
  const size = Buffer.concat([u32(index.length / 4 - 1), flags])
  return Buffer.concat([
    Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
    flags,
    u32(crc32(flags)),
    index,
    u32(crc32(size)),
    size,
    Buffer.from('YZ'),
  ])
}

const lies: { name: string; records: number[]; says: RegExp }[] = [
  { name: 'more records than bytes', records: [0, 3], says: /impossible (number|size)/ },
  { name: 'a billion blocks', records: [0, 0x80, 0x94, 0xeb, 0xdc, 0x03], says: /more than 262144 blocks/ },
  {
    name: 'a number above 2^53',
    records: [0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1],
    says: /impossible number/,
  },
  { name: 'a number with a needless byte', records: [0, 1, 0x85, 0x00, 1], says: /impossible number/ },
  { name: 'a block of no size', records: [0, 1, 0, 1], says: /impossible size/ },
  { name: 'blocks longer than the file', records: [0, 1, 0x80, 0x01, 1], says: /longer than the file/ },
  { name: 'bytes behind the records', records: [0, 0, 0, 0, 1], says: /longer than its records/ },
]
for (const { name, records, says } of lies) {
  test(`damaged xz: an index with ${name}`, async (t) => {
    const error = await outcome(t, lyingXz(records))
    assert.ok(error instanceof FormatError)
    assert.match(error.message, says)
  })
}

test('damaged xz: only zeroes behind the magic', async (t) => {
  const packed = Buffer.alloc(300_000)
  packed.set([0xfd, 0x37, 0x7a, 0x58, 0x5a])
  assert.notEqual(await outcome(t, packed), 'image')
})
