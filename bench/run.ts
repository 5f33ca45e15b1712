/**
 * piimage and its peers, writing the same image to the same simulated cards.
 *
 *     npm run build && npm run build:test
 *     sudo node build/bench/run.js [--runs 3] [--write 25] [--read 90] [--work DIR] [--only TEXT] [--list]
 *
 * --write and --read are a card's MB/s. --only keeps the rows whose name has TEXT. Needs root, losetup,
 * control groups, mtools, e2fsprogs, xz, bmaptool. Writes only to loop devices of its own.
 * etcher-sdk is left out: npm can't install it without changes of ours, and then its own verification fails.
 *
 * The limit of a row is what the card allows: what the image's file systems use over its write rate
 * (bmaptool's map has less: it leaves out what happens to be zero, which a used card then keeps), and once
 * more over its read rate for rows that read back; for --changed-only the reading alone.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readUsedRanges } from '../src/disk/used-ranges.ts'
import { openFileReader } from '../src/io/file-reader.ts'
import { packageRoot } from '../src/package-root.ts'
import { MiB } from '../src/units.ts'
import { imageBytes, makeBenchImage } from './make-image.ts'
import { makeBenchProject, nodeName } from './make-project.ts'
import { type Cost, measure } from './measure.ts'
import { type Card, openThrottledDrives, type Rates } from './throttled-drives.ts'

const CARD_BYTES = 4096 * MiB

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    write: { type: 'string', default: '25' },
    read: { type: 'string', default: '90' },
    work: { type: 'string', default: '/var/tmp/piimage-bench' },
    only: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
  },
})

interface Row {
  name: string
  /** For `sh -c`; `{0}`… are the cards, `{image}`, `{packed}`, `{bmap}`, `{project}` places. */
  script: string
  cards: Rates[]
  reads: 'back' | 'only' | 'no'
  /** Runs before, on the same cards, unmeasured and unthrottled. */
  prepare?: string
  /** The status that is right; default 0. */
  status?: number
  /** The row's time ends when all of these were said on stdout; default: when the command ends. */
  until?: string[]
  /** The card that fails once half of what is used was written: its number. */
  failing?: number
}

const image = makeBenchImage(values.work)
const project = await makeBenchProject(values.work, image)
const reader = await openFileReader(image.raw)
const usedBytes = (await readUsedRanges(reader)).ranges.reduce((sum, { length }) => sum + length, 0)
await reader.close()

const card: Rates = { write: Number(values.write) * 1e6, read: Number(values.read) * 1e6 }
const slow: Rates = { write: Number(values.write) * 0.25e6, read: Number(values.read) * 0.25e6 }
const free: Rates = {}
const many = (count: number, rates: Rates): Rates[] => Array.from({ length: count }, () => rates)

const piimage = `${process.execPath} ${join(packageRoot(), 'dist/cli.js')} flash --quiet --yes --cluster {project}/cluster.yaml --cache {project}/cache`
const flash = (count: number, flags = '', first = 0): string =>
  `${piimage} ${flags} ${many(count, free)
    .map((_, index) => `--node ${nodeName(first + index)}={${index}}`)
    .join(' ')}`
const cold = 'rm -rf {project}/cache && '
const xz = 'xz -dc -T0 {packed} | dd of={0} bs=4M iflag=fullblock oflag=direct conv=fsync'
const cmp = `${xz} && dd if={0} bs=4M iflag=direct status=none | cmp -n ${imageBytes(image)} - {image}`
const bmap = (source: string) => `bmaptool copy --bmap {bmap} {${source}} {0}`

const rows: Row[] = [
  { name: 'piimage, cold', script: cold + flash(1), cards: [card], reads: 'back' },
  { name: 'piimage, warm', script: flash(1), cards: [card], reads: 'back' },
  { name: 'xz | dd, cmp', script: cmp, cards: [card], reads: 'back' },
  { name: 'piimage --no-verify, cold', script: cold + flash(1, '--no-verify'), cards: [card], reads: 'no' },
  { name: 'xz | dd', script: xz, cards: [card], reads: 'no' },
  { name: 'bmaptool, xz', script: bmap('packed'), cards: [card], reads: 'no' },
  { name: 'bmaptool, raw image', script: bmap('image'), cards: [card], reads: 'no' },
  { name: '4 cards, cold', script: cold + flash(4), cards: many(4, card), reads: 'back' },
  { name: '4 cards, warm', script: flash(4), cards: many(4, card), reads: 'back' },
  { name: '16 cards, cold', script: cold + flash(16), cards: many(16, card), reads: 'back' },
  { name: '16 cards, warm', script: flash(16), cards: many(16, card), reads: 'back' },
  {
    name: '4 cards, one at a quarter of the speed (its limit)',
    script: flash(4),
    cards: [slow, ...many(3, card)],
    reads: 'back',
  },
  {
    name: '4 cards, one at a quarter of the speed, one failing half way: the other two',
    script: flash(4, '--json'),
    cards: [slow, ...many(3, card)],
    failing: 1,
    status: 6,
    until: [2, 3].map((index) => `"event":"flashed","node":"${nodeName(index)}"`),
    reads: 'back',
  },
  {
    name: 'piimage --changed-only, from another node',
    script: flash(1, '--changed-only', 1),
    prepare: flash(1),
    cards: [card],
    reads: 'only',
  },
  { name: 'unthrottled: piimage, cold', script: cold + flash(1), cards: [free], reads: 'back' },
  { name: 'unthrottled: piimage, warm', script: flash(1), cards: [free], reads: 'back' },
  { name: 'unthrottled: xz | dd, cmp', script: cmp, cards: [free], reads: 'back' },
  { name: 'unthrottled: xz | dd', script: xz, cards: [free], reads: 'no' },
  { name: 'unthrottled: bmaptool, xz', script: bmap('packed'), cards: [free], reads: 'no' },
]

function limitSeconds({ cards, reads, until }: Row): number {
  const seconds = (until === undefined ? cards : cards.slice(-1)).map(({ write, read }) => {
    const writing = write === undefined || reads === 'only' ? 0 : usedBytes / write
    return writing + (read === undefined || reads === 'no' ? 0 : usedBytes / read)
  })
  return Math.max(...seconds)
}

/** Cards that were never written, and an image that is in the page cache. */
async function runOnce(row: Row): Promise<Cost> {
  const folder = join(values.work, `cards-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  const cards = row.cards.map((rates, index): Card => {
    const file = join(folder, `${index}`)
    const fd = openSync(file, 'w')
    ftruncateSync(fd, CARD_BYTES)
    closeSync(fd)
    return { file, rates }
  })
  const failing = row.failing === undefined ? undefined : cards[row.failing]
  const small = join(folder, 'small')
  if (failing !== undefined) {
    // A card whose file can't grow any more fails with EIO.
    mkdirSync(small)
    const size = Math.floor(usedBytes / 2)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', small])
    if (mounted.status !== 0) throw new Error(`mount: ${mounted.stderr}`)
    failing.file = join(small, 'card')
    spawnSync('truncate', ['-s', `${CARD_BYTES}`, failing.file])
  }
  for (const path of [image.raw, image.packed]) spawnSync('dd', [`if=${path}`, 'of=/dev/null', 'bs=4M'])
  try {
    if (row.prepare !== undefined) {
      const drives = openThrottledDrives(cards.map(({ file }) => ({ file, rates: free })))
      try {
        spawnSync('sh', ['-c', fill(row.prepare, drives.paths)], { stdio: 'ignore' })
      } finally {
        drives.remove()
      }
    }
    const drives = openThrottledDrives(cards)
    try {
      return await measure(fill(row.script, drives.paths), drives, row)
    } finally {
      drives.remove()
    }
  } finally {
    if (failing !== undefined) spawnSync('umount', [small])
    rmSync(folder, { recursive: true })
  }
}

function fill(script: string, drives: readonly string[]): string {
  const places: Record<string, string> = {
    image: image.raw,
    packed: image.packed,
    bmap: image.blockMap,
    project,
    ...Object.fromEntries(drives.map((path, index) => [`${index}`, path])),
  }
  return script.replace(/\{(\w+)\}/g, (_, name: string) => places[name] ?? '')
}

const median = (numbers: number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

function formatRow(row: Row, costs: readonly Cost[]): string {
  const of = (part: (cost: Cost) => number) => median(costs.map(part))
  const wall = of((cost) => cost.wallSeconds)
  const limit = limitSeconds(row)
  const cells = [
    row.name.replaceAll('|', '\\|'),
    row.reads === 'no' ? 'no' : 'yes',
    wall.toFixed(1),
    of((cost) => cost.cpuSeconds).toFixed(1),
    (of((cost) => cost.peakRssBytes) / 1e6).toFixed(0),
    (of((cost) => cost.bytesWritten) / 1e6).toFixed(0),
    limit === 0 ? '-' : (wall / limit).toFixed(2),
    of((cost) => cost.load).toFixed(1),
  ]
  return `| ${cells.join(' | ')} |\n`
}

const chosen = rows.filter(({ name }) => name.includes(values.only))
if (values.list) {
  for (const { name, script } of chosen) process.stdout.write(`${name}\n    ${script}\n`)
} else {
  process.stdout.write(
    `Image ${(imageBytes(image) / 1e6).toFixed(0)} MB, ${(usedBytes / 1e6).toFixed(0)} MB in use; card: write ${values.write} MB/s, read ${values.read} MB/s; ` +
      `${cpus().length} × ${cpus()[0]?.model}; Node ${process.versions.node}; median of ${values.runs}; load at the start ${loadavg()[0]?.toFixed(1)}.\n\n` +
      '| program | reads back | wall s | CPU s | peak RSS MB | written MB | wall / limit | load |\n|---|---|---|---|---|---|---|---|\n',
  )
  // Round by round, not row by row: a busy minute of the machine then hits all rows alike.
  const costs = new Map(chosen.map((row) => [row, [] as Cost[]]))
  const runs = Number(values.runs)
  for (let run = 0; run < runs; run += 1)
    for (const [row, list] of costs) {
      try {
        list.push(await runOnce(row))
        if (run === runs - 1) process.stdout.write(formatRow(row, list))
      } catch (error) {
        process.stderr.write(`${row.name} failed: ${(error as Error).message}\n`)
      }
    }
}
