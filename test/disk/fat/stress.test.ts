/**
 * Thousands of random edits on each kind of volume, judged by fsck.fat, mtools
 * and a model of what should be there; and the same edits again, byte for byte.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FatVolume } from '../../../src/disk/fat/volume.ts'
import { FormatError } from '../../../src/errors.ts'
import {
  applyChanges,
  checkVolume,
  digest,
  makeVolume,
  needJudges,
  openVolume,
  randomBytes,
  randomNumbers,
  readByMtools,
  readByUs,
  shapes,
} from './judges.ts'

const NAMES = [
  'ssh',
  'CONFIG.TXT',
  'user-data',
  'network-config',
  'bcm2712-rpi-5-b.dtb',
  'a name with blanks and a very long tail that takes several slots.text',
  'Grüße.txt',
  '.hidden',
  'two.dots.conf',
  'kernel8.img',
]

/** Runs random edits and keeps book: path → digest, folders end in `/`. */
async function editAtRandom(volume: FatVolume, seed: number, count: number): Promise<Map<string, string>> {
  const random = randomNumbers(seed)
  const pick = <T>(values: readonly T[]): T => values[random(values.length)] as T
  const book = new Map<string, string>()
  const folders = (): string[] => ['', ...[...book.keys()].filter((path) => path.endsWith('/'))]
  for (let i = 0; i < count; i += 1) {
    const modified = new Date(Date.UTC(2020, 0, 1) + random(1e8) * 1000)
    const kind = random(100)
    if (kind < 70) {
      const path = `${pick(folders())}${random(40)}-${pick(NAMES)}`
      const bytes = randomBytes(random, random(20) === 0 ? random(200_000) : random(3000))
      try {
        await volume.writeFile(path, bytes, { modified })
        book.set(path, digest(bytes))
      } catch (error) {
        assert.ok(error instanceof FormatError && /free|full/.test(error.message), String(error))
      }
    } else if (kind < 90 && book.size > 0) {
      const path = pick([...book.keys()])
      await volume.remove(path)
      if (path.endsWith('/')) {
        for (const below of [...book.keys()]) if (below.startsWith(path)) book.delete(below)
      } else book.delete(path)
    } else {
      const parent = pick(folders())
      if (parent.split('/').length > 6) continue
      const path = `${parent}${random(10)}-${pick(NAMES)}.d/`
      try {
        await volume.mkdir(path, { modified })
        book.set(path, '')
      } catch (error) {
        assert.ok(error instanceof FormatError && /free|full/.test(error.message), String(error))
      }
    }
  }
  return book
}

const sorted = (book: Map<string, string>): [string, string][] =>
  [...book].sort(([a], [b]) => (a < b ? -1 : 1))

for (const [number, shape] of shapes.entries()) {
  test(`random edits keep the volume whole: ${shape.name}`, async (t) => {
    if (!needJudges(t)) return
    const path = makeVolume(t, shape)
    const { changes, volume } = await openVolume(t, path)
    const book = await editAtRandom(volume, 1000 + number, 2000)
    assert.deepEqual(sorted(await readByUs(volume)), sorted(book))
    const free = await volume.freeBytes()

    const again = await openVolume(t, path)
    await editAtRandom(again.volume, 1000 + number, 2000)
    assert.deepEqual(again.changes.ranges(), changes.ranges(), 'the same edits touch the same sectors')
    for (const { offset, length } of changes.ranges()) {
      assert.deepEqual(await again.changes.read(offset, length), await changes.read(offset, length))
    }

    await applyChanges(path, changes)
    checkVolume(path)
    assert.deepEqual(sorted(readByMtools(t, path)), sorted(book))
    const reopened = await openVolume(t, path)
    assert.equal(await reopened.volume.freeBytes(), free)
  })
}
