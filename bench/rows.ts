/**
 * What is measured: each row a shell command on simulated cards, and what the cards allow.
 *
 * A row's limit is what the card allows: what the image's file systems use over
 * the write rate, and once more over the read rate for rows that read back; for
 * --changed-only the reading alone. A new card holds the zeroes among it
 * already, and who may leave them out (bmaptool by its map, piimage because it
 * looked) can be faster than that. bmaptool leaves them out on a used card as
 * well, which then keeps its old bytes there: it has no row for one.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../src/package-root.ts'
import { type BenchImage, imageBytes } from './make-image.ts'
import { nodeName } from './make-project.ts'
import type { Rates } from './throttled-drives.ts'

export interface Row {
  name: string
  /** For `sh -c`; `{0}`… are the cards. */
  script: string
  cards: readonly Rates[]
  reads: 'back' | 'only' | 'no' | 'nothing'
  /** Runs before, on the same cards, unmeasured and unthrottled. */
  prepare?: string
  /** Runs afterwards in the same way: fails if the cards are not as they should be. */
  check?: string
  /** The row's time ends when all of these were said on stdout, and so does the command. */
  until?: string[]
  /** The card that fails once half of what is used was written: its number. */
  failing?: number
  /** What the line to the publisher takes for the image: the limit where it is the slower of the two. */
  downloadSeconds?: number
  /** Needs etcher-sdk. */
  etcher?: true
}

export interface Places {
  image: BenchImage
  /** Of cluster.yaml; the cache lies in it. */
  project: string
  /** Where etcher-sdk is installed. */
  etcher: string
}

/** `[text, row, row]`: the second row's median over the third's. */
export const ratios: readonly [string, string, string][] = [
  ['four cards, one card, packed', '4 cards, packed', 'piimage, packed'],
  ['four cards, one card, in the cache', '4 cards, in the cache', 'piimage, in the cache'],
  ['sixteen cards, one card, packed', '16 cards, packed', 'piimage, packed'],
  ['piimage with read-back, xz | dd and cmp: CPU', 'piimage, packed', 'xz | dd, cmp'],
  ['piimage without, xz | dd: CPU', 'piimage --no-verify, packed', 'xz | dd'],
  ['piimage, bmaptool, both packed and without read-back', 'piimage --no-verify, packed', 'bmaptool, xz'],
]

/** Bytes per second: a line of 80 Mbit/s. */
const PUBLISHER_RATE = 10e6

/** @param rates of a card */
export function listRows({ image, project, etcher }: Places, card: Rates): Row[] {
  const slow: Rates = { write: (card.write ?? 0) / 4, read: (card.read ?? 0) / 4 }
  const free: Rates = {}
  const many = (count: number, rates: Rates): Rates[] => Array.from({ length: count }, () => rates)

  const program = `${process.execPath} ${join(packageRoot(), 'dist/cli.js')}`
  const flags = `--quiet --yes --cluster ${project}/cluster.yaml --cache ${project}/cache`
  const flash = (count: number, more = '', first = 0): string =>
    `${program} flash ${flags} ${more} ${many(count, free)
      .map((_, index) => `--node ${nodeName(first + index)}={${index}}`)
      .join(' ')}`
  const inspect = (node: number): string => `${program} inspect {0} --check --node ${nodeName(node)} ${flags}`
  const customise = `${program} customise {0} --node ${nodeName(1)} ${flags}`
  const cold = `rm -rf ${project}/cache && `
  const xz = `xz -dc -T0 ${image.packed} | dd of={0} bs=4M iflag=fullblock oflag=direct conv=fsync`
  const cmp = `${xz} && dd if={0} bs=4M iflag=direct status=none | cmp -n ${imageBytes(image)} - ${image.raw}`
  const bmap = (source: string) => `bmaptool copy --bmap ${image.blockMap} ${source} {0}`
  const etch = (source: string) =>
    `${process.execPath} ${join(import.meta.dirname, 'etcher-flash.js')} ${etcher} ${source} {0}`
  const isImage = `cmp -n ${imageBytes(image)} {0} ${image.raw}`
  // What a card may hold from its earlier life: anything but zeroes.
  const use = `tr '\\0' '\\245' < /dev/zero | dd of={0} bs=4M iflag=fullblock oflag=direct count=${Math.ceil(imageBytes(image) / 4e6)} status=none`

  const one = { cards: [card], reads: 'back' } as const
  const unread = { cards: [card], reads: 'no' } as const
  const unthrottled = { cards: [free], reads: 'back' } as const
  return [
    { name: 'piimage, packed', script: cold + flash(1), check: inspect(0), ...one },
    { name: 'piimage, in the cache', script: flash(1), check: inspect(0), ...one },
    {
      name: 'piimage, packed, a used card',
      script: cold + flash(1),
      prepare: use,
      check: inspect(0),
      ...one,
    },
    {
      name: 'piimage, from a publisher at 10 MB/s',
      script: `${cold}${process.execPath} ${join(import.meta.dirname, 'publisher.js')} ${project} ${image.packed} ${PUBLISHER_RATE} '${flash(1, `--lock ${project}/publisher.lock.json`)}'`,
      check: inspect(0),
      downloadSeconds: statSync(image.packed).size / PUBLISHER_RATE,
      ...one,
    },
    { name: 'xz | dd, cmp', script: cmp, check: isImage, ...one },
    { name: 'etcher-sdk, raw image', script: etch(image.raw), check: isImage, etcher: true, ...one },
    { name: 'etcher-sdk, xz', script: etch(image.packed), check: isImage, etcher: true, ...one },
    {
      name: 'piimage --no-verify, packed',
      script: cold + flash(1, '--no-verify'),
      check: inspect(0),
      ...unread,
    },
    {
      name: 'piimage --no-verify, in the cache',
      script: flash(1, '--no-verify'),
      check: inspect(0),
      ...unread,
    },
    { name: 'xz | dd', script: xz, check: isImage, ...unread },
    { name: 'bmaptool, xz', script: bmap(image.packed), ...unread },
    { name: 'bmaptool, raw image', script: bmap(image.raw), ...unread },
    { name: '4 cards, packed', script: cold + flash(4), cards: many(4, card), reads: 'back' },
    { name: '4 cards, in the cache', script: flash(4), cards: many(4, card), reads: 'back' },
    { name: '16 cards, packed', script: cold + flash(16), cards: many(16, card), reads: 'back' },
    { name: '16 cards, in the cache', script: flash(16), cards: many(16, card), reads: 'back' },
    {
      name: '4 cards, one at a quarter of the speed, one failing half way: the other two',
      script: flash(4, '--json'),
      cards: [slow, ...many(3, card)],
      failing: 1,
      until: [
        `"event":"failed","node":"${nodeName(1)}"`,
        ...[2, 3].map((index) => `"event":"flashed","node":"${nodeName(index)}"`),
      ],
      reads: 'back',
    },
    {
      name: 'piimage --changed-only, from another node',
      script: flash(1, '--changed-only', 1),
      prepare: flash(1),
      check: inspect(1),
      cards: [card],
      reads: 'only',
    },
    {
      name: 'piimage customise, from another node',
      script: customise,
      prepare: flash(1),
      check: inspect(1),
      cards: [card],
      reads: 'nothing',
    },
    { name: 'piimage --help', script: `${program} --help > /dev/null`, cards: [], reads: 'nothing' },
    { name: 'unthrottled: piimage, packed', script: cold + flash(1), ...unthrottled },
    { name: 'unthrottled: piimage, in the cache', script: flash(1), ...unthrottled },
    { name: 'unthrottled: xz | dd, cmp', script: cmp, ...unthrottled },
    { name: 'unthrottled: xz | dd', script: xz, cards: [free], reads: 'no' },
    { name: 'unthrottled: bmaptool, xz', script: bmap(image.packed), cards: [free], reads: 'no' },
  ]
}

/** @param usedBytes what the image's file systems use; 0: the cards set no limit */
export function limitSeconds({ cards, reads, until, downloadSeconds = 0 }: Row, usedBytes: number): number {
  if (reads === 'nothing') return 0
  const seconds = (until === undefined ? cards : cards.slice(-1)).map(({ write, read }) => {
    const writing = write === undefined || reads === 'only' ? 0 : usedBytes / write
    return writing + (read === undefined || reads === 'no' ? 0 : usedBytes / read)
  })
  return Math.max(downloadSeconds, ...seconds)
}
