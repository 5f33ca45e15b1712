/**
 * piimage and its peers, writing the same image to the same simulated cards.
 *
 *     npm run build && npm run build:test
 *     sudo node build/bench/run.js [--runs 3] [--write 25] [--read 90] [--work DIR] [--only TEXT]… [--list]
 *
 * --write and --read are a card's MB/s. --only keeps the rows whose name has one of the texts; `=TEXT` the
 * row of that name. Needs root, losetup, control groups, mtools, e2fsprogs, xz, bmaptool. Writes only to loop
 * devices of its own. etcher-sdk is installed into the work folder by the first run that has rows for it.
 *
 * What each run took goes to stderr as it ends; the table of medians, as markdown, to stdout.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openFileReader } from '../src/io/file-reader.ts'
import { MiB } from '../src/units.ts'
import { readUsedRanges } from '../test/support/used-ranges.ts'
import { installEtcher } from './etcher-install.ts'
import { removeLeftovers } from './leftovers.ts'
import { imageBytes, makeBenchImage } from './make-image.ts'
import { makeBenchProject } from './make-project.ts'
import { type Cost, measure } from './measure.ts'
import { listRows, type Row } from './rows.ts'
import { formatTable, type Result } from './table.ts'
import { type Card, openThrottledDrives } from './throttled-drives.ts'

const CARD_BYTES = 4096 * MiB

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    write: { type: 'string', default: '25' },
    read: { type: 'string', default: '90' },
    work: { type: 'string', default: '/var/tmp/piimage-bench' },
    only: { type: 'string', multiple: true, default: [''] },
    list: { type: 'boolean', default: false },
  },
})

removeLeftovers(values.work)
const image = makeBenchImage(values.work)
const project = await makeBenchProject(values.work, image)
const etcher = join(values.work, 'etcher')
const reader = await openFileReader(image.raw)
const usedBytes = (await readUsedRanges(reader)).ranges.reduce((sum, { length }) => sum + length, 0)
await reader.close()

const rows = listRows(
  { image, project, etcher },
  { write: Number(values.write) * 1e6, read: Number(values.read) * 1e6 },
).filter(({ name }) =>
  values.only.some((text) => (text.startsWith('=') ? name === text.slice(1) : name.includes(text))),
)

if (values.list) for (const { name, script } of rows) process.stdout.write(`${name}\n    ${script}\n`)
else await runAll()

async function runAll(): Promise<void> {
  const results = rows.map((row): Result => ({ row, costs: [], failures: [] }))
  const missing = rows.some((row) => row.etcher) ? installEtcher(etcher) : undefined
  if (missing !== undefined) process.stderr.write(`etcher-sdk is left out: ${missing}\n`)
  const startLoad = loadavg()[0]?.toFixed(1)
  const runs = Number(values.runs)
  // Round by round, not row by row: a busy minute of the machine then hits all rows alike.
  for (let run = 1; run <= runs; run += 1)
    for (const { row, costs, failures } of results) {
      if (row.etcher && missing !== undefined) failures[0] = missing
      // What fails once fails again, and takes minutes for it.
      if (failures.length > 0) continue
      const said = `${run}/${runs} ${row.name}`
      try {
        const cost = await runOnce(row)
        costs.push(cost)
        process.stderr.write(
          `${said}: ${cost.wallSeconds.toFixed(2)} s, CPU ${cost.cpuSeconds.toFixed(2)} s\n`,
        )
      } catch (error) {
        costs.length = 0
        failures.push((error as Error).message.trim().split('\n').at(-1) ?? '')
        process.stderr.write(`${said}: ${(error as Error).message}\n`)
      }
    }
  process.stdout.write(
    `Image ${(imageBytes(image) / 1e6).toFixed(0)} MB, ${(usedBytes / 1e6).toFixed(0)} MB in use; card: write ${values.write} MB/s, read ${values.read} MB/s; ` +
      `${cpus().length} × ${cpus()[0]?.model}; Node ${process.versions.node}; median of ${values.runs}; load at the start ${startLoad}.\n\n` +
      formatTable(results, usedBytes),
  )
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
    if (row.prepare !== undefined) runUnthrottled(row.prepare, cards)
    const drives = openThrottledDrives(cards)
    let cost: Cost
    try {
      cost = await measure(fill(row.script, drives.paths), drives, row.until)
    } finally {
      drives.remove()
    }
    if (row.check !== undefined) runUnthrottled(row.check, cards)
    return cost
  } finally {
    if (failing !== undefined) spawnSync('umount', [small])
    rmSync(folder, { recursive: true })
  }
}

/** @throws {Error} it failed */
function runUnthrottled(script: string, cards: readonly Card[]): void {
  const drives = openThrottledDrives(cards.map(({ file }) => ({ file, rates: {} })))
  try {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', fill(script, drives.paths)], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`status ${status}: ${script}\n${stdout}${stderr}`)
  } finally {
    drives.remove()
  }
}

/** `{0}`… are the drives. */
function fill(script: string, drives: readonly string[]): string {
  return script.replace(/\{(\d+)\}/g, (_, index: string) => drives[Number(index)] ?? '')
}
