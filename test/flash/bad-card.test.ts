/** What piimage says of cards that fail, lie or go away, and in what state it leaves them. */
import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DriveError } from '../../src/errors.ts'
import type { CardReport } from '../../src/flash/card.ts'
import { VerifyError } from '../../src/flash/difference.ts'
import { openDriveTarget } from '../../src/flash/target.ts'
import { writeCard } from '../../src/flash/write.ts'
import type { Progress } from '../../src/progress.ts'
import { MiB } from '../../src/units.ts'
import { type BadCard, failingCard, fakeCard, goodCard } from '../support/bad-card.ts'
import { attachLoop, attachLoopDevice, detachLoopDevice, makeSparseFile } from '../support/loop.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { patternBytes } from '../support/pattern.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

const CARD_BYTES = 32 * MiB
const image = patternBytes('image', 24 * MiB)

async function flash(path: string, onReport?: (progress: Progress) => void): Promise<CardReport> {
  const target = await openDriveTarget({ path, size: CARD_BYTES })
  try {
    return await writeCard(
      {
        target,
        image: memoryReader(image),
        ranges: [{ offset: 0, length: image.length }],
        verified: async () => {},
        verify: true,
      },
      recordTask(onReport),
    )
  } finally {
    await target.close()
  }
}

/** @returns its first MiB, read from what is behind the card: the card itself may fail */
function headOf(backing: string): Buffer {
  const fd = openSync(backing, 'r')
  const head = Buffer.alloc(MiB)
  readSync(fd, head, 0, MiB, 0)
  closeSync(fd)
  return head
}
const assertUnbootable = (backing: string) => assert.ok(headOf(backing).equals(Buffer.alloc(MiB)))

/** Run `fault` once, as soon as `bytes` of `phase` are done. */
const once = (phase: Progress['phase'], bytes: number, fault: () => void) => {
  let done = false
  return (progress: Progress) => {
    if (done || progress.phase !== phase || progress.bytes < bytes) return
    done = true
    fault()
  }
}

test('the rig itself: a good card behind it is written and verified', async (t) => {
  const card = await goodCard(t, CARD_BYTES)
  if (card === undefined) return
  const report = await flash(card.path)
  assert.equal(report.bytesVerified, image.length)
  assert.ok(readFileSync(card.backing).subarray(0, image.length).equals(image))
})

test('a card that stops taking writes', async (t) => {
  const card = await failingCard(t, CARD_BYTES, 'pwrite')
  if (card === undefined) return
  await assert.rejects(
    flash(
      card.path,
      once('write', 8 * MiB, () => card.startFailing()),
    ),
    {
      name: 'DriveError',
      message:
        /^\/dev\/loop\d+ failed to write \d+ bytes at offset \d+ \(EIO\); the card was left unbootable$/,
    },
  )
  assertUnbootable(card.backing)
  // Whichever of two requests was slower failed; what counted as written before is there.
  const there = readFileSync(card.backing)
  const arrived = Array.from({ length: image.length / MiB }, (_, index) => index * MiB).filter((offset) =>
    there.subarray(offset, offset + MiB).equals(image.subarray(offset, offset + MiB)),
  )
  assert.ok(arrived.length >= 8 && arrived.length < 23, String(arrived.length))
})

test('a card that takes everything but the first MiB', async (t) => {
  const card = await failingCard(t, CARD_BYTES, 'pwrite')
  if (card === undefined) return
  await assert.rejects(
    flash(
      card.path,
      once('verify', 16 * MiB, () => card.startFailing()),
    ),
    {
      name: 'DriveError',
      message: `${card.path} failed to write 1044480 bytes at offset 4096 (EIO); the card may still look bootable: do not use it`,
    },
  )
})

test('a card that cannot be read back', async (t) => {
  const card = await failingCard(t, CARD_BYTES, 'pread')
  if (card === undefined) return
  await assert.rejects(
    flash(
      card.path,
      once('verify', 0, () => card.startFailing()),
    ),
    {
      name: 'DriveError',
      message:
        /^\/dev\/loop\d+ failed to read \d+ bytes at offset \d+ \(EIO\) and no longer answers; the card was left unbootable$/,
    },
  )
  assertUnbootable(card.backing)
})

for (const phase of ['write', 'verify'] as const) {
  test(`a card that is pulled out while it is ${phase === 'write' ? 'written' : 'verified'}`, async (t) => {
    const card = await goodCard(t, CARD_BYTES)
    if (card === undefined) return
    await assert.rejects(
      flash(
        card.path,
        once(phase, 4 * MiB, () => card.pull()),
      ),
      (error: DriveError) => {
        assert.equal(error.name, 'DriveError')
        assert.match(error.message, /and no longer answers; the card was left unbootable$/)
        assert.match(error.hint ?? '', /pulled out/)
        return true
      },
    )
    assertUnbootable(card.backing)
  })
}

test('a card that claims twice what it has and wraps around', async (t) => {
  const card = await fakeCard(t, CARD_BYTES, 16 * MiB, 'wraps')
  if (card === undefined) return
  const error = await failure(card)
  assert.ok(error instanceof VerifyError)
  // What belongs behind 16 MiB has overwritten the first 8; which of two requests is compared first is open.
  assert.ok(error.difference.offset >= MiB && error.difference.offset < 8 * MiB, error.message)
  assert.match(
    error.difference.looksLike,
    /^it holds what belongs at offset \d+, as on a card that has only 16\.8 MB$/,
  )
  assertUnbootable(card.backing)
})

test('a card that claims more than it has and loses the rest', async (t) => {
  const card = await fakeCard(t, CARD_BYTES, 16 * MiB, 'lost')
  if (card === undefined) return
  const error = await failure(card)
  assert.ok(error instanceof VerifyError)
  assert.ok(error.difference.offset >= 16 * MiB, error.message)
  assert.equal(error.difference.looksLike, 'it reads as zeroes')
  assertUnbootable(card.backing)
})

async function failure(card: BadCard): Promise<unknown> {
  return flash(card.path).then(
    () => assert.fail('a lying card passed'),
    (error: unknown) => error,
  )
}

test('a card whose medium is full', async (t) => {
  if (!needRoot(t)) return
  // A file system in memory with less room than the file in it claims.
  const folder = mkdtempSync(join(tmpdir(), 'piimage-full-'))
  assert.equal(run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder]).status, 0)
  const file = join(folder, 'card')
  makeSparseFile(file, CARD_BYTES)
  const path = attachLoopDevice(file, { directIo: false })
  try {
    await assert.rejects(flash(path), {
      name: 'DriveError',
      message:
        /^\/dev\/loop\d+ failed to (write \d+ bytes at offset \d+|store what was written) \((ENOSPC|EIO)\); the card was left unbootable$/,
    })
    assertUnbootable(file)
  } finally {
    detachLoopDevice(path)
    run('umount', [folder])
    rmSync(folder, { recursive: true })
  }
})

test('a write-protected card that nobody checked', async (t) => {
  if (!needRoot(t)) return
  const file = join(tempFolder(t), 'card')
  makeSparseFile(file, CARD_BYTES)
  const path = attachLoop(t, file, { readOnly: true })
  await assert.rejects(flash(path), {
    name: 'DriveError',
    message: new RegExp(`^${path} is write-protected`),
  })
})
