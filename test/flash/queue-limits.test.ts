/** What a drive's driver takes at once, and how large requests become by it. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { requestBytesFor } from '../../src/flash/card.ts'
import { readQueueBytes } from '../../src/flash/queue-limits.ts'
import { KiB, MiB } from '../../src/units.ts'
import { tempFolder } from '../support/temp.ts'

const drives: { name: string; requests: string; kibibytes: string; bytes: number | undefined }[] = [
  { name: 'a card reader on USB', requests: '2\n', kibibytes: '120\n', bytes: 240 * KiB },
  { name: 'an MMC host', requests: '64\n', kibibytes: '512\n', bytes: 32 * MiB },
  { name: 'one that says nothing', requests: '', kibibytes: '512\n', bytes: undefined },
  { name: 'one that says nonsense', requests: 'many\n', kibibytes: '512\n', bytes: undefined },
]
for (const { name, requests, kibibytes, bytes } of drives) {
  test(`${name}: ${bytes} bytes at once`, (t) => {
    const root = tempFolder(t)
    const drive = join(root, 'sdz')
    const queue = join(root, 'sys/class/block/sdz/queue')
    mkdirSync(queue, { recursive: true })
    writeFileSync(drive, '')
    writeFileSync(join(queue, 'nr_requests'), requests)
    writeFileSync(join(queue, 'max_sectors_kb'), kibibytes)
    assert.equal(readQueueBytes(drive, root), bytes)
  })
}

test('a drive that the system says nothing about', (t) => {
  assert.equal(readQueueBytes('/dev/none', tempFolder(t)), undefined)
})

const cases: { cards: number; queueBytes: number | undefined; bytes: number }[] = [
  { cards: 1, queueBytes: undefined, bytes: 4 * MiB },
  { cards: 1, queueBytes: 160 * MiB, bytes: 4 * MiB },
  { cards: 1, queueBytes: 4 * MiB, bytes: 2 * MiB },
  { cards: 1, queueBytes: 240 * KiB, bytes: MiB },
  { cards: 8, queueBytes: undefined, bytes: 4 * MiB },
  { cards: 16, queueBytes: 160 * MiB, bytes: 2 * MiB },
  { cards: 50, queueBytes: undefined, bytes: MiB },
]
for (const { cards, queueBytes, bytes } of cases) {
  test(`${cards} cards that take ${queueBytes ?? 'any'} bytes at once: requests of ${bytes / MiB} MiB`, () => {
    assert.equal(requestBytesFor(cards, queueBytes), bytes)
  })
}
