/** One card on a real loop device: what is written, what is left, and what a bad card is told. */
import assert from 'node:assert/strict'
import { closeSync, fsyncSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Range } from '../../src/disk/blocks.ts'
import { InterruptedError } from '../../src/errors.ts'
import type { CardReport, CardRequest } from '../../src/flash/card.ts'
import { VerifyError } from '../../src/flash/difference.ts'
import { openDriveTarget } from '../../src/flash/target.ts'
import { writeCard } from '../../src/flash/write.ts'
import { KiB, MiB, SECTOR_BYTES } from '../../src/units.ts'
import { known } from '../support/known.ts'
import { attachLoop } from '../support/loop.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { patternBytes, patternNumbers } from '../support/pattern.ts'
import { type RecordedTask, recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot } from '../support/tools.ts'

const CARD_BYTES = 32 * MiB
const IMAGE_BYTES = 24 * MiB + 3 * SECTOR_BYTES
const image = patternBytes('image', IMAGE_BYTES)
const oldCard = patternBytes('old card', CARD_BYTES)
/** Three runs, the last one to the image's ragged end; unsorted, unaligned, with a gap too small to skip. */
const ranges: Range[] = [
  { offset: 20 * MiB + 100, length: IMAGE_BYTES - 20 * MiB - 100 },
  { offset: 700, length: 2 * MiB },
  { offset: 9 * MiB, length: 5 * MiB + 1 },
  { offset: 2 * MiB + 800 + 200 * KiB, length: 5 },
]
/** What the ranges come to, once aligned to 4 KiB and joined over the small gap. */
const written: Range[] = [
  { offset: 0, length: 2 * MiB + 204 * KiB },
  { offset: 9 * MiB, length: 5 * MiB + 4 * KiB },
  { offset: 20 * MiB, length: 4 * MiB + 4 * KiB },
]

interface Card {
  /** The file behind the loop device. */
  backing: string
  path: string
}

function insertCard(t: TestContext, bytes: Uint8Array = oldCard): Card {
  const backing = join(tempFolder(t), 'card')
  writeFileSync(backing, bytes)
  return { backing, path: attachLoop(t, backing) }
}

interface Options extends Partial<Omit<CardRequest, 'target' | 'image'>> {
  task?: RecordedTask
  image?: Buffer
}

async function flash(
  card: Card,
  { task, image: bytes = image, ...options }: Options = {},
): Promise<CardReport> {
  const target = await openDriveTarget({ path: card.path, size: CARD_BYTES })
  try {
    return await writeCard(
      {
        target,
        image: memoryReader(bytes),
        ranges,
        verified: async () => {},
        verify: true,
        ...options,
      },
      task ?? recordTask(),
    )
  } finally {
    await target.close()
  }
}

/** What a card that held `before` must hold after a whole write. */
function expectedCard(before: Uint8Array): Buffer {
  const after = Buffer.from(before)
  const padded = Buffer.alloc(CARD_BYTES)
  image.copy(padded)
  for (const { offset, length } of written) padded.copy(after, offset, offset, offset + length)
  return after
}

function assertHeadIsZero(card: Card): void {
  assert.ok(
    readFileSync(card.backing)
      .subarray(0, MiB)
      .every((byte) => byte === 0),
    'the first MiB must be zero',
  )
}

/** Change one byte of the medium, behind the back of whoever holds the drive. */
function flipByte(card: Card, offset: number): void {
  const fd = openSync(card.backing, 'r+')
  const byte = Buffer.alloc(1)
  readSync(fd, byte, 0, 1, offset)
  byte[0] = (byte[0] ?? 0) ^ 0x10
  writeSync(fd, byte, 0, 1, offset)
  fsyncSync(fd)
  closeSync(fd)
}

test('a card holds the image, and its old bytes only where nothing was to be written', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  const task = recordTask()
  const report = await flash(card, { task })
  assert.deepEqual(readFileSync(card.backing), expectedCard(oldCard))
  const bytes = written.reduce((sum, { length }) => sum + length, 0)
  assert.deepEqual(
    { ...report, seconds: undefined },
    {
      drive: card.path,
      bytesWritten: bytes,
      // The image's last 1536 bytes are written as one block of 4 KiB.
      bytesSkipped: IMAGE_BYTES - (bytes - 2560),
      bytesFoundZero: 0,
      bytesVerified: bytes,
      bytesCompared: 0,
      bytesProbed: 0,
      direct: true,
      rangesWritten: 3,
      rangesRepaired: [],
      seconds: undefined,
    },
  )
  assert.deepEqual(known(task.progress.at(-1)), {
    phase: 'verify',
    subject: card.path,
    bytes,
    totalBytes: bytes,
  })
})

test('the partition table is the last thing written, after the digests hold', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  await flash(card, {
    verified: async () => {
      const now = readFileSync(card.backing)
      const after = expectedCard(oldCard)
      assert.ok(now.subarray(MiB).equals(after.subarray(MiB)), 'all but the first MiB is there')
      assertHeadIsZero(card)
    },
  })
})

test('a digest that does not hold leaves the card unbootable', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  const wrong = new Error('sha256 differs')
  await assert.rejects(flash(card, { verified: () => Promise.reject(wrong) }), wrong)
  assertHeadIsZero(card)
})

test('a flipped byte is found at its place, wherever it is', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  const bytes = written.reduce((sum, { length }) => sum + length, 0)
  const places = patternNumbers('flips', 19, bytes - MiB).map((number) => placeAfterHead(number))
  for (const place of [...places, IMAGE_BYTES - 1]) {
    let flipped = false
    const task = recordTask(({ phase }) => {
      if (phase !== 'verify' || flipped) return
      flipped = true
      flipByte(card, place)
    })
    await assert.rejects(flash(card, { task, retries: 0 }), (error: unknown) => {
      assert.ok(error instanceof VerifyError)
      assert.deepEqual(error.difference, {
        offset: place,
        length: 1,
        looksLike: '1 bit flipped',
        isWrap: false,
      })
      assert.match(error.message, new RegExp(`^${card.path} .* offset ${place}: .*left unbootable$`))
      return true
    })
    assertHeadIsZero(card)
  }
})

/** The `number`th written byte after the first MiB. */
function placeAfterHead(number: number): number {
  let left = number + MiB
  for (const { offset, length } of written) {
    if (left < length) return Math.min(offset + left, IMAGE_BYTES - 1)
    left -= length
  }
  return IMAGE_BYTES - 1
}

for (const place of [0, 511, 4 * KiB, 700 * KiB, MiB - 1]) {
  test(`a flipped byte at ${place}, in the part written last, makes it zero again`, async (t) => {
    if (!needRoot(t)) return
    const card = insertCard(t)
    const total = written.reduce((sum, { length }) => sum + length, 0)
    // The first MiB is written as all but its first 4 KiB, then those.
    const moment = place < 4 * KiB ? total : total - 4 * KiB
    const task = recordTask(({ phase, bytes }) => {
      if (phase === 'write' && bytes === moment) flipByte(card, place)
    })
    await assert.rejects(flash(card, { task, retries: 0 }), (error: unknown) => {
      assert.ok(error instanceof VerifyError)
      assert.equal(error.difference.offset, place)
      return true
    })
    assertHeadIsZero(card)
  })
}

test('a range that reads back wrong once is written again, and only that', async (t) => {
  if (!needRoot(t)) return
  for (const place of [9 * MiB + 77, 20 * MiB + 5]) {
    const card = insertCard(t)
    let flipped = false
    const task = recordTask(({ phase }) => {
      if (phase === 'verify' && !flipped) flipByte(card, place)
      if (phase === 'verify') flipped = true
    })
    const report = await flash(card, { task })
    assert.deepEqual(readFileSync(card.backing), expectedCard(oldCard))
    assert.deepEqual(report.rangesRepaired, [{ offset: place, length: 1 }])
  }
})

test('a card that differs in a few places gets only those, and ends as after a fresh write', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  await flash(card)
  const next = Buffer.from(image)
  for (const place of [200, 9 * MiB + 5000, 9 * MiB + 900 * KiB, IMAGE_BYTES - 1])
    next.writeUInt8(next.readUInt8(place) ^ 0xff, place)
  let headAtFirstWrite: Buffer | undefined
  const task = recordTask(({ phase }) => {
    if (phase === 'write') headAtFirstWrite ??= readFileSync(card.backing).subarray(0, MiB)
  })
  const report = await flash(card, { changedOnly: true, image: next, task })
  assert.ok(
    headAtFirstWrite?.every((byte) => byte === 0),
    'unbootable before the first change',
  )
  const changed = readFileSync(card.backing)
  await flash(card, { image: next })
  assert.deepEqual(changed, readFileSync(card.backing))
  assert.equal(report.bytesWritten, MiB + 3 * 4 * KiB)
  assert.equal(report.bytesVerified, report.bytesWritten)
  assert.equal(
    report.bytesCompared,
    written.reduce((sum, { length }) => sum + length, 0),
  )
})

test('a card that differs nowhere is not written to', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  await flash(card)
  const task = recordTask(({ phase }) => assert.equal(phase, 'check'))
  const report = await flash(card, { changedOnly: true, task })
  assert.equal(report.bytesWritten, 0)
  assert.equal(report.rangesWritten, 0)
})

test('a wrong digest of the image leaves a card that was only compared as it was', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  await flash(card)
  const wrong = new Error('sha256 differs')
  await assert.rejects(flash(card, { changedOnly: true, verified: () => Promise.reject(wrong) }), wrong)
  assert.deepEqual(readFileSync(card.backing), expectedCard(oldCard))
})

test('ranges that become known one by one are written as they come', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  const sorted = [...ranges].sort((a, b) => a.offset - b.offset)
  let known: Range[] | undefined
  const source = {
    get known() {
      return known
    },
    async *[Symbol.asyncIterator]() {
      for (const range of sorted) {
        yield range
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      known = sorted
    },
  }
  const report = await flash(card, { ranges: source, requestBytes: MiB })
  assert.deepEqual(readFileSync(card.backing), expectedCard(oldCard))
  assert.equal(report.rangesWritten, 3)
})

test('without read-back nothing is verified, and the report says so', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  const report = await flash(card, { verify: false })
  assert.equal(report.bytesVerified, 0)
  assert.deepEqual(readFileSync(card.backing), expectedCard(oldCard))
})

for (const phase of ['write', 'verify'] as const) {
  test(`stopped while it ${phase === 'write' ? 'writes' : 'verifies'}, it leaves the card unbootable`, async (t) => {
    if (!needRoot(t)) return
    const card = insertCard(t)
    const stop = new AbortController()
    const task = recordTask((step) => {
      if (step.phase === phase && step.bytes > 0) stop.abort(new InterruptedError('SIGINT'))
    }, stop.signal)
    await assert.rejects(flash(card, { task }), (error: unknown) => {
      assert.ok(error instanceof InterruptedError)
      assert.equal(error.message, `stopped while writing ${card.path}; the card was left unbootable`)
      return true
    })
    assertHeadIsZero(card)
  })
}

test('stopped while it waits for the digests, it does not go on waiting', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  const stop = new AbortController()
  const forever = () => {
    setImmediate(() => stop.abort(new InterruptedError('SIGINT')))
    return new Promise<void>(() => {})
  }
  await assert.rejects(
    flash(card, { verified: forever, task: recordTask(undefined, stop.signal) }),
    InterruptedError,
  )
  assertHeadIsZero(card)
})

test('the backup partition table of an earlier life is removed, and nothing else behind the image', async (t) => {
  if (!needRoot(t)) return
  const before = Buffer.from(oldCard)
  before.write('EFI PART', CARD_BYTES - SECTOR_BYTES, 'latin1')
  const card = insertCard(t, before)
  await flash(card)
  const expected = expectedCard(before)
  expected.fill(0, CARD_BYTES - 33 * SECTOR_BYTES)
  assert.deepEqual(readFileSync(card.backing), expected)
})

test('a second writer of the same card is refused', async (t) => {
  if (!needRoot(t)) return
  const card = insertCard(t)
  const target = await openDriveTarget({ path: card.path, size: CARD_BYTES })
  try {
    await assert.rejects(openDriveTarget({ path: card.path, size: CARD_BYTES }), {
      name: 'DriveError',
      message: `${card.path} is in use: another program has it open or mounted it`,
    })
  } finally {
    await target.close()
  }
})
