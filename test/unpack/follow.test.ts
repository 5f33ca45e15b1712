/** Unpacking a file while it is still being downloaded. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FormatError } from '../../src/errors.ts'
import { Watermark } from '../../src/io/watermark.ts'
import { MiB } from '../../src/units.ts'
import { unpackStream } from '../../src/unpack/unpack.ts'
import { patternBytes } from '../support/pattern.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

/** Half random, half text, with a partition table at its start. */
const image = Buffer.alloc(6 * MiB, 'all work and no play ')
patternBytes('image', 3 * MiB).copy(image, MiB)
image.fill(0, 0, 512)
image.writeUInt8(0x0c, 450)
image.writeUInt16LE(0xaa55, 510)
const sha256 = createHash('sha256').update(image).digest('hex')

const packers: { name: string; command: string; args: string[]; package: string }[] = [
  { name: 'xz in blocks', command: 'xz', args: ['-T2', '--block-size=1MiB'], package: 'xz-utils' },
  { name: 'xz in one block that says no size', command: 'xz', args: ['-T1'], package: 'xz-utils' },
  { name: 'gzip', command: 'gzip', args: [], package: 'gzip' },
  { name: 'zstd', command: 'zstd', args: ['-q'], package: 'zstd' },
  { name: 'raw', command: 'cat', args: [], package: 'coreutils' },
]

function pack(t: TestContext, { command, args }: { command: string; args: string[] }): Buffer {
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'image'), image)
  const made = run('sh', ['-c', `${command} ${args.join(' ')} < image > packed`], { cwd: folder })
  assert.equal(made.status, 0, made.stderr)
  return readFileSync(join(folder, 'packed'))
}

/** Unpack while `bytes` come in pieces, and the file gets another name at the end. */
async function follow(t: TestContext, bytes: Buffer, isEager: boolean): Promise<number> {
  const folder = tempFolder(t)
  const partial = join(folder, 'image.part')
  writeFileSync(partial, '')
  const mark = new Watermark()
  let arrived = 0
  let arrivedAtFirstChunk = -1
  const send = async () => {
    for (let at = 0; at < bytes.length; at += 100_000) {
      appendFileSync(partial, bytes.subarray(at, at + 100_000))
      arrived = Math.min(bytes.length, at + 100_000)
      if (arrived === bytes.length) renameSync(partial, join(folder, 'image'))
      mark.raise(arrived)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const reach = (end: number) => mark.reach(end)
  const growing = { size: bytes.length, reach, handle: await open(partial) }
  const hash = createHash('sha256')
  const [unpacked] = await Promise.all([
    unpackStream(
      { source: partial, growing, expected: { size: image.length, sha256 } },
      (chunk) => {
        if (arrivedAtFirstChunk === -1) arrivedAtFirstChunk = arrived
        hash.update(chunk)
      },
      recordTask(),
    ),
    send(),
  ])
  assert.equal(unpacked.size, image.length)
  assert.equal(hash.digest('hex'), sha256)
  if (isEager) assert.ok(arrivedAtFirstChunk < bytes.length, 'it began before all was there')
  return arrivedAtFirstChunk
}

for (const packer of packers) {
  test(`followed while it comes: ${packer.name}`, async (t) => {
    if (needTool(t, packer.command, packer.package) === undefined) return
    // The zstd program, which Node 20 needs, and an index at the end are waited for.
    const isEager = ['xz in blocks', 'gzip', 'raw'].includes(packer.name)
    await follow(t, pack(t, packer), isEager)
  })
}

test('two xz streams, one behind the other', async (t) => {
  if (needTool(t, 'xz', 'xz-utils') === undefined) return
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'image'), image)
  const script =
    'head -c 2000000 image | xz -T2 --block-size=500KiB; tail -c +2000001 image | xz -T2 --block-size=1MiB'
  const made = run('sh', ['-c', `(${script}) > packed`], { cwd: folder })
  assert.equal(made.status, 0, made.stderr)
  await follow(t, readFileSync(join(folder, 'packed')), true)
})

test('free space that packs into the same bytes again and again comes out as it went in', async (t) => {
  if (needTool(t, 'xz', 'xz-utils') === undefined) return
  const folder = tempFolder(t)
  const sparse = Buffer.alloc(40 * MiB)
  image.copy(sparse, 0, 0, 3 * MiB)
  // All alike but the last, which is shorter; and one byte in the middle.
  sparse.writeUInt8(1, 20 * MiB + 5)
  writeFileSync(join(folder, 'image'), sparse.subarray(0, 39 * MiB + 700))
  const made = run('sh', ['-c', 'xz -T2 --block-size=1MiB < image > packed'], { cwd: folder })
  assert.equal(made.status, 0, made.stderr)
  const whole: Buffer[] = []
  await unpackStream(
    { source: join(folder, 'packed') },
    (chunk) => void whole.push(Buffer.from(chunk)),
    recordTask(),
  )
  assert.ok(Buffer.concat(whole).equals(sparse.subarray(0, 39 * MiB + 700)))
})

test('a flipped byte in the second block is found before the rest is there', async (t) => {
  const packer = packers[0] as (typeof packers)[0]
  if (needTool(t, packer.command, packer.package) === undefined) return
  const bytes = pack(t, packer)
  const at = Math.floor(bytes.length / 3)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at)
  const path = join(tempFolder(t), 'image')
  writeFileSync(path, bytes)
  const mark = new Watermark()
  mark.raise(bytes.length - 200_000)
  const reach = (end: number) => mark.reach(end)
  const growing = { size: bytes.length, reach, handle: await open(path) }
  await assert.rejects(
    unpackStream({ source: path, growing }, () => {}, recordTask()),
    FormatError,
  )
})
