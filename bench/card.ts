/**
 * One card, written by piimage and by its peers, on the same simulated card.
 *
 *     npm run build:test && sudo node build/bench/card.js [--runs 3] [--write 25] [--read 90]
 *         [--work DIR] [--only TEXT] [--piimage 'node dist/cli.js flash … oneil={drive} --yes']
 *
 * --write and --read are MB/s (0: not throttled). --piimage adds a row for a whole command:
 * {drive}, {image}, {packed} and {bmap} are replaced. --only keeps the rows whose name has TEXT.
 * Needs root, losetup, control groups, mtools, e2fsprogs, xz, bmaptool. Writes only to loop devices of its own.
 *
 * The limit of a row is what the card allows: the image's used bytes over its
 * write rate, and once more over its read rate for rows that read back.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MiB } from '../src/units.ts'
import { parseBlockMap } from './block-map.ts'
import { imageBytes, makeBenchImage } from './make-image.ts'
import { type Cost, measure } from './measure.ts'
import { openThrottledDrive, type Rates } from './throttled-drive.ts'

const CARD_BYTES = 4096 * MiB

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    write: { type: 'string', default: '25' },
    read: { type: 'string', default: '90' },
    work: { type: 'string', default: '/var/tmp/piimage-bench' },
    only: { type: 'string', default: '' },
    piimage: { type: 'string' },
  },
})

interface Row {
  name: string
  script: string
  /** Whether what was written is read back from the card. */
  readsBack: boolean
}

const image = makeBenchImage(values.work)
const engine = `${process.execPath} ${join(import.meta.dirname, 'engine.js')} {image} {bmap} {drive}`
const xzToCard = 'xz -dc -T0 {packed} | dd of={drive} bs=4M iflag=fullblock oflag=direct conv=fsync'
const rows: Row[] = [
  { name: 'piimage engine, raw image', script: engine, readsBack: true },
  { name: 'piimage engine, raw image, --no-verify', script: `${engine} --no-verify`, readsBack: false },
  ...(values.piimage === undefined
    ? []
    : [{ name: 'piimage', script: values.piimage, readsBack: !values.piimage.includes('--no-verify') }]),
  { name: 'xz -dc | dd oflag=direct', script: xzToCard, readsBack: false },
  {
    name: 'xz -dc | dd oflag=direct, cmp',
    script: `${xzToCard} && dd if={drive} bs=4M iflag=direct status=none | cmp -n ${imageBytes(image)} - {image}`,
    readsBack: true,
  },
  {
    name: 'bmaptool copy, raw image',
    script: 'bmaptool copy --bmap {bmap} {image} {drive}',
    readsBack: false,
  },
  {
    name: 'bmaptool copy, xz',
    script: 'bmaptool copy --bmap {bmap} {packed} {drive}',
    readsBack: false,
  },
]

const rates: Rates = {
  ...(values.write === '0' ? {} : { write: Number(values.write) * 1e6 }),
  ...(values.read === '0' ? {} : { read: Number(values.read) * 1e6 }),
}
const usedBytes = parseBlockMap(readFileSync(image.blockMap, 'utf8'), imageBytes(image)).reduce(
  (sum, { length }) => sum + length,
  0,
)

const limitSeconds = (readsBack: boolean): number =>
  (rates.write === undefined ? 0 : usedBytes / rates.write) +
  (readsBack && rates.read !== undefined ? usedBytes / rates.read : 0)

/** A card that was never written, and an image that is in the page cache. */
async function runOnce(row: Row): Promise<Cost> {
  const file = join(values.work, `card-${process.pid}`)
  const fd = openSync(file, 'w')
  ftruncateSync(fd, CARD_BYTES)
  closeSync(fd)
  for (const path of [image.raw, image.packed]) spawnSync('dd', [`if=${path}`, 'of=/dev/null', 'bs=4M'])
  const drive = openThrottledDrive(file, rates)
  try {
    const places: Record<string, string> = {
      drive: drive.path,
      image: image.raw,
      packed: image.packed,
      bmap: image.blockMap,
    }
    return await measure(
      row.script.replace(/\{(drive|image|packed|bmap)\}/g, (_, name: string) => places[name] ?? ''),
      drive,
    )
  } finally {
    drive.remove()
    rmSync(file)
  }
}

const median = (numbers: number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

function formatRow(row: Row, costs: readonly Cost[]): string {
  const of = (part: (cost: Cost) => number) => median(costs.map(part))
  const wall = of((cost) => cost.wallSeconds)
  const limit = limitSeconds(row.readsBack)
  const cells = [
    row.name.replaceAll('|', '\\|'),
    row.readsBack ? 'yes' : 'no',
    wall.toFixed(1),
    of((cost) => cost.cpuSeconds).toFixed(1),
    (of((cost) => cost.peakRssBytes) / 1e6).toFixed(0),
    (of((cost) => cost.bytesWritten) / 1e6).toFixed(0),
    limit === 0 ? '-' : (wall / limit).toFixed(2),
  ]
  return `| ${cells.join(' | ')} |\n`
}

const rate = (value: string) => (value === '0' ? 'unlimited' : `${value} MB/s`)
process.stdout.write(
  `Image ${(imageBytes(image) / 1e6).toFixed(0)} MB, ${(usedBytes / 1e6).toFixed(0)} MB in use; card: write ${rate(values.write)}, read ${rate(values.read)}; ` +
    `${cpus().length} × ${cpus()[0]?.model}; Node ${process.versions.node}; median of ${values.runs}.\n\n` +
    '| program | reads back | wall s | CPU s | peak RSS MB | written MB | wall / limit |\n|---|---|---|---|---|---|---|\n',
)
// Round by round, not row by row: a busy minute of the machine then hits all rows alike.
const costs = new Map(rows.filter(({ name }) => name.includes(values.only)).map((row) => [row, [] as Cost[]]))
for (let run = 0; run < Number(values.runs); run += 1)
  for (const [row, list] of costs) list.push(await runOnce(row))
for (const [row, list] of costs) process.stdout.write(formatRow(row, list))
