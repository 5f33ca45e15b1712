/** Partition tables as sfdisk makes them, and ones nobody should make. */
import assert from 'node:assert/strict'
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { readGpt } from '../../src/disk/gpt.ts'
import { isProtectiveMbr, readMbr, readMbrDiskId } from '../../src/disk/mbr.ts'
import { readPartitions } from '../../src/disk/partitions.ts'
import { FormatError } from '../../src/errors.ts'
import { openFileReader } from '../../src/io/file-reader.ts'
import { GiB, MiB } from '../../src/units.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

/** A sparse disk partitioned by sfdisk; undefined after the test was skipped. */
async function partition(t: TestContext, bytes: number, script: string) {
  if (needTool(t, 'sfdisk', 'fdisk') === undefined) return undefined
  const path = join(tempFolder(t), 'disk.img')
  writeFileSync(path, '')
  truncateSync(path, bytes)
  const made = run('sfdisk', ['--quiet', path], { input: script })
  assert.equal(made.status, 0, made.stderr)
  const reader = await openFileReader(path)
  t.after(() => reader.close())
  return reader
}

test('an MBR of sfdisk, with a partition beyond 4 GiB and a gap in the table', async (t) => {
  const script = [
    'label: dos',
    'label-id: 0x7a3f1c55',
    'start=16384, size=1048576, type=c, bootable',
    'start=10485760, size=12582912, type=83',
  ].join('\n')
  const reader = await partition(t, 12 * GiB, script)
  if (reader === undefined) return
  assert.deepEqual(await readPartitions(reader), {
    scheme: 'mbr',
    diskId: '7a3f1c55',
    partitions: [
      { index: 1, type: 0x0c, offset: 8 * MiB, length: 512 * MiB },
      { index: 2, type: 0x83, offset: 5 * GiB, length: 6 * GiB },
    ],
  })
})

test('a GPT of sfdisk, with a partition beyond 4 GiB and a gap in the table', async (t) => {
  const script = [
    'label: gpt',
    'label-id: 0FC63DAF-0000-4772-8E79-3D69D8477D01',
    'start=16384, size=1048576, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="bootfs", uuid=11111111-2222-3333-4444-555555555501',
    '3: start=10485760, size=12582912, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="Grüße", uuid=11111111-2222-3333-4444-555555555503',
  ].join('\n')
  const reader = await partition(t, 12 * GiB, script)
  if (reader === undefined) return
  assert.deepEqual(await readPartitions(reader), {
    scheme: 'gpt',
    diskId: '0fc63daf-0000-4772-8e79-3d69d8477d01',
    partitions: [
      {
        index: 1,
        type: 0xef,
        offset: 8 * MiB,
        length: 512 * MiB,
        typeId: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
        id: '11111111-2222-3333-4444-555555555501',
        name: 'bootfs',
      },
      {
        index: 3,
        type: 0x83,
        offset: 5 * GiB,
        length: 6 * GiB,
        typeId: '0fc63daf-8483-4772-8e79-3d69d8477de4',
        id: '11111111-2222-3333-4444-555555555503',
        name: 'Grüße',
      },
    ],
  })
})

test('each flipped byte of a GPT header and its entries is noticed', async (t) => {
  const reader = await partition(t, 8 * MiB, 'label: gpt\nsize=2048, type=L\n')
  if (reader === undefined) return
  const disk = Uint8Array.from(await reader.read(0, reader.length))
  for (const at of [512, 519, 524, 530, 560, 568, 584, 592, 600, 603, 1024, 1060, 17407]) {
    const damaged = disk.slice()
    damaged[at] = (damaged[at] as number) ^ 0x10
    await assert.rejects(readPartitions(memoryReader(damaged)), FormatError, `byte ${at}`)
  }
})

interface Entry {
  status?: number
  type: number
  start: number
  length: number
}

function makeMbr(entries: (Entry | undefined)[]): Uint8Array {
  const sector = new Uint8Array(512)
  const view = new DataView(sector.buffer)
  view.setUint32(440, 0x0000abcd, true)
  view.setUint16(510, 0xaa55, true)
  for (const [i, entry] of entries.entries()) {
    if (entry === undefined) continue
    const at = 446 + 16 * i
    view.setUint8(at, entry.status ?? 0)
    view.setUint8(at + 4, entry.type)
    view.setUint32(at + 8, entry.start, true)
    view.setUint32(at + 12, entry.length, true)
  }
  return sector
}

const refused: { name: string; sector: Uint8Array; message: RegExp }[] = [
  { name: 'short', sector: new Uint8Array(511), message: /there are 511/ },
  { name: 'empty', sector: new Uint8Array(512), message: /no 55 AA at byte 510/ },
  {
    name: 'starts at sector 0',
    sector: makeMbr([{ type: 12, start: 0, length: 8 }]),
    message: /partition 1 starts at sector 0/,
  },
  {
    name: 'overlap by one sector, in any order',
    sector: makeMbr([
      { type: 12, start: 108, length: 10 },
      { type: 131, start: 100, length: 9 },
    ]),
    message: /2 and 1 overlap at byte 55296/,
  },
  {
    name: 'code where the table should be',
    sector: makeMbr([{ status: 0x74, type: 12, start: 1, length: 8 }]),
    message: /impossible status 116 \(byte 446\)/,
  },
]
for (const { name, sector, message } of refused) {
  test(`readMbr refuses: ${name}`, () => {
    assert.throws(
      () => readMbr(sector),
      (error) => error instanceof FormatError && message.test(error.message),
    )
  })
}

test('readMbr: neighbours touch, gaps stay, the last sector there can be is exact', () => {
  const sector = makeMbr([
    undefined,
    { type: 0x0c, start: 100, length: 10, status: 0x80 },
    { type: 0x05, start: 0, length: 0 },
    { type: 0x83, start: 110, length: 0xffffffff },
  ])
  assert.deepEqual(readMbr(sector), [
    { index: 2, type: 0x0c, offset: 51200, length: 5120 },
    { index: 4, type: 0x83, offset: 56320, length: 0xffffffff * 512 },
  ])
  assert.equal(readMbrDiskId(sector), '0000abcd')
  assert.equal(isProtectiveMbr(sector), false)
})

test('a partition past the end of the image names both ends', async () => {
  const image = new Uint8Array(1024 * 1024)
  image.set(makeMbr([{ type: 12, start: 2, length: 2047 }]))
  await assert.rejects(readPartitions(memoryReader(image)), /partition 1 reaches to byte 1049088.*1048576/)
})

test('a protective MBR without a GPT behind it', async () => {
  const image = new Uint8Array(4096)
  image.set(makeMbr([{ type: 0xee, start: 1, length: 7 }]))
  assert.equal(isProtectiveMbr(image), true)
  await assert.rejects(readPartitions(memoryReader(image)), /announces a GPT, but there is none at byte 512/)
})

test('any first sectors give partitions inside the disk or a FormatError', async () => {
  const disk = fc.uint8Array({ minLength: 0, maxLength: 4096 }).map((bytes) => {
    if (bytes.length >= 512) bytes.set([0x55, 0xaa], 510)
    return bytes
  })
  await fc.assert(
    fc.asyncProperty(disk, fc.boolean(), async (bytes, wantGpt) => {
      try {
        const reader = memoryReader(bytes)
        const { partitions } = wantGpt ? await readGpt(reader) : await readPartitions(reader)
        for (const { offset, length } of partitions) assert.ok(offset > 0 && length > 0)
      } catch (error) {
        assert.ok(error instanceof FormatError, String(error))
      }
    }),
  )
})
