/** Bad cards, what is done to them, and what piimage should say: the rows of cards.test.ts. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { MiB } from '../../src/units.ts'
import { type BadCard, failingCard, goodCard, oddCard } from '../support/bad-card.ts'
import { attachLoop, attachLoopDevice, detachLoopDevice, makeSparseFile } from '../support/loop.ts'
import { DEMO_LAYOUT, demoProject } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

export const CARD_BYTES = 64 * MiB
/** A byte that every image of a node has in use: of the root file system's superblock. */
const USED = DEMO_LAYOUT.root.offset + 1024 + 56

/** A card, and what can be done to it while piimage is at work. */
export type Card = Pick<BadCard, 'path' | 'backing'> & Partial<Pick<BadCard, 'startFailing' | 'pull'>>

export interface Row {
  name: string
  /** Default: `flash`. */
  command?: 'flash' | 'changed-only' | 'customise' | 'probe'
  insert(t: TestContext): Promise<Card | undefined>
  /** Once piimage says it is in this phase … */
  when?: 'check' | 'write' | 'verify'
  /** … this happens. */
  does?: (card: Card) => void
  status: number
  says: RegExp
  /**
   * `untouched`: not a byte changed; `unbootable`: the first MiB is empty; `no table`: its first sector is;
   * `whole`: every byte is the node's; `unknown`: piimage itself says so
   */
  state: 'untouched' | 'unbootable' | 'no table' | 'whole' | 'unknown'
}

const loopCard = async (
  t: TestContext,
  options: Parameters<typeof attachLoop>[2],
): Promise<Card | undefined> => {
  if (!needRoot(t)) return undefined
  const backing = `${tempFolder(t)}/card`
  makeSparseFile(backing, CARD_BYTES)
  return { path: attachLoop(t, backing, options), backing }
}

/**
 * A file system in memory with room for the card's first MiB alone: the kernel calls a loop's write
 * a success when only its end found no room, so no write may be cut short.
 */
const fullCard = async (t: TestContext): Promise<Card | undefined> => {
  if (!needRoot(t)) return undefined
  let path = ''
  const folder = `${tempFolder(t, () => {
    detachLoopDevice(path)
    run('umount', [folder])
  })}/full`
  mkdirSync(folder)
  assert.equal(run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status, 0)
  const backing = `${folder}/card`
  makeSparseFile(backing, CARD_BYTES)
  path = attachLoopDevice(backing, { directIo: false })
  return { path, backing }
}

const startFailing = (card: Card) => card.startFailing?.()
const pull = (card: Card) => card.pull?.()
const odd = (fault: Parameters<typeof oddCard>[2]) => (t: TestContext) => oddCard(t, CARD_BYTES, fault)
const failing = (request: 'pread' | 'pwrite') => (t: TestContext) => failingCard(t, CARD_BYTES, request)
const good = (t: TestContext) => goodCard(t, CARD_BYTES)

const unbootable = /the card was left unbootable$/m

export const rows: Row[] = [
  { name: 'nothing is wrong', insert: good, status: 0, says: /read back and equal/, state: 'whole' },
  {
    name: 'slow: 4 ms for every request',
    insert: odd({ delayMs: 4 }),
    status: 0,
    says: /read back and equal/,
    state: 'whole',
  },
  {
    name: 'a place that takes no writes',
    insert: odd({ writeErrorAt: USED }),
    status: 5,
    says: /failed to write \d+ bytes at offset \d+ \(EIO\); the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'takes no more writes from some moment on',
    insert: failing('pwrite'),
    when: 'write',
    does: startFailing,
    status: 5,
    says: /failed to write .*\(EIO\); the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'a place that can not be read',
    insert: odd({ readErrorAt: USED }),
    status: 5,
    says: /failed to read \d+ bytes at offset \d+ \(EIO\); the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'can not be read any more from some moment on',
    insert: failing('pread'),
    when: 'verify',
    does: startFailing,
    status: 5,
    says: /failed to read .*\(EIO\) and no longer answers; the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'pulled while it is written',
    insert: good,
    when: 'write',
    does: pull,
    status: 5,
    says: /and no longer answers; the card was left unbootable\n.*pulled out/,
    state: 'unbootable',
  },
  {
    name: 'pulled while it is read back',
    insert: good,
    when: 'verify',
    does: pull,
    status: 5,
    says: /and no longer answers; the card was left unbootable\n.*pulled out/,
    state: 'unbootable',
  },
  {
    name: 'turns a bit when writing',
    insert: odd({ flipWriteAt: USED }),
    status: 5,
    says: /differs from what was written in 1 byte at offset \d+: 1 bit flipped; the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'turns a bit when reading',
    insert: odd({ flipReadAt: USED }),
    status: 5,
    says: /differs from what was written in 1 byte at offset \d+: 1 bit flipped; the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'holds half of what it announces, the rest wraps around',
    command: 'probe',
    insert: odd({ real: 32 * MiB, beyond: 'wraps' }),
    status: 5,
    says: /announces 67\.1 MB, holds 33\.6 MB: what is written beyond that lands at its start again; the card was left/,
    state: 'unbootable',
  },
  {
    name: 'holds half of what it announces, the rest is lost',
    insert: odd({ real: 32 * MiB, beyond: 'lost' }),
    status: 5,
    says: /differs from what was written .* it reads as zeroes; the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'has a hole that keeps nothing',
    insert: odd({ dead: { from: DEMO_LAYOUT.root.offset, end: DEMO_LAYOUT.root.offset + MiB } }),
    status: 5,
    says: /differs from what was written .* it holds other data, .*; the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'its medium is full (ENOSPC)',
    insert: fullCard,
    status: 5,
    says: /failed to (write|store) .*\((ENOSPC|EIO)\); the card was left unbootable/,
    state: 'unbootable',
  },
  {
    name: 'read-only',
    insert: (t) => loopCard(t, { readOnly: true }),
    status: 5,
    says: /is write-protected\n.*lock/,
    state: 'untouched',
  },
  {
    name: '4 KiB sectors',
    insert: (t) => loopCard(t, { sectorSize: 4096 }),
    status: 5,
    says: /has sectors of 4096 bytes/,
    state: 'untouched',
  },

  {
    name: 'nothing is wrong',
    command: 'changed-only',
    insert: good,
    status: 0,
    says: /read back and equal/,
    state: 'whole',
  },
  {
    name: 'can not be read to be compared',
    command: 'changed-only',
    insert: failing('pread'),
    when: 'check',
    does: startFailing,
    status: 5,
    says: /failed to read .*; nothing was written/,
    state: 'untouched',
  },
  {
    name: 'pulled while it is compared',
    command: 'changed-only',
    insert: good,
    when: 'check',
    does: pull,
    status: 5,
    says: /no longer answers; nothing was written/,
    state: 'untouched',
  },
  {
    name: 'takes no more writes from some moment on',
    command: 'changed-only',
    insert: failing('pwrite'),
    when: 'write',
    does: startFailing,
    status: 5,
    says: unbootable,
    state: 'unbootable',
  },
  {
    name: 'takes no writes at all',
    command: 'changed-only',
    insert: failing('pwrite'),
    when: 'check',
    does: startFailing,
    status: 5,
    says: /failed to write .*; what was on it may still be there/,
    state: 'untouched',
  },
  {
    name: 'pulled while it is written',
    command: 'changed-only',
    insert: good,
    when: 'write',
    does: pull,
    status: 5,
    says: unbootable,
    state: 'unbootable',
  },

  {
    name: 'nothing is wrong',
    command: 'customise',
    insert: good,
    status: 0,
    says: /carter of \S+, becomes oneil/,
    state: 'whole',
  },
  {
    name: 'a place that takes no writes',
    command: 'customise',
    insert: async (t) => oddCard(t, CARD_BYTES, { writeErrorAt: await changedByte(t) }),
    status: 5,
    says: /failed to write .*it was left without a partition table: flash it again/,
    state: 'no table',
  },
  {
    name: 'turns a bit when writing',
    command: 'customise',
    insert: async (t) => oddCard(t, CARD_BYTES, { flipWriteAt: await changedByte(t) }),
    status: 5,
    says: /1 bit flipped; it was left without a partition table: flash it again/,
    state: 'no table',
  },
  {
    name: 'takes no more writes from some moment on',
    command: 'customise',
    insert: failing('pwrite'),
    when: 'write',
    does: startFailing,
    status: 5,
    says: /it was left without a partition table: flash it again/,
    state: 'no table',
  },
  {
    name: 'pulled while it is changed',
    command: 'customise',
    insert: good,
    when: 'write',
    does: pull,
    status: 5,
    says: /no longer answers; it was left without a partition table/,
    state: 'no table',
  },
  {
    name: 'pulled while it is read back',
    command: 'customise',
    insert: good,
    when: 'verify',
    does: pull,
    status: 5,
    says: /no longer answers; it was left without a partition table/,
    state: 'no table',
  },
]

/** Three cards at once, and the second is bad. */
export const trios: {
  name: string
  insert: Row['insert']
  pullsAt?: 'write' | 'verify'
  flags?: string[]
  says: RegExp
}[] = [
  {
    name: 'a place that takes no writes',
    insert: odd({ writeErrorAt: USED }),
    says: /failed to write .*EIO/,
  },
  { name: 'pulled while it is written', insert: good, pullsAt: 'write', says: /no longer answers/ },
  { name: 'turns a bit when reading', insert: odd({ flipReadAt: USED }), says: /1 bit flipped/ },
  {
    name: 'holds half of what it announces',
    insert: odd({ real: 32 * MiB, beyond: 'wraps' }),
    flags: ['--probe'],
    says: /announces 67\.1 MB, holds 33\.6 MB/,
  },
]
/** A byte that differs between the cards of carter and of oneil. */
async function changedByte(t: TestContext): Promise<number> {
  const project = demoProject(t)
  for (const node of ['carter', 'oneil'])
    assert.equal((await project.piimage('flash', '--node', `${node}=${node}.img`)).status, 0)
  const [carter, oneil] = [readFileSync(project.file('carter.img')), readFileSync(project.file('oneil.img'))]
  return oneil.findIndex((byte, at) => byte !== carter[at])
}
