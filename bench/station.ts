/**
 * A workshop's batch at the station, in Chromium, beside the same with `flash --all`: which takes longer, and
 * is every card its own node?
 *
 *     npm run build && npm run build:test
 *     sudo node build/bench/station.js [--cards 160] [--readers 16] [--write 10] [--read 40] [--work DIR]
 *
 * --write and --read are a card's MB/s. All readers are filled, and filled anew once all are done. What a swap
 * takes is counted from the last card that is put in until the last one is done, as the page shows it or `--json`
 * says it. Swap by swap the two take turns, so that a busy minute of the machine hits both alike. Then each card is
 * judged by mtools and cmp against the node whose name was shown.
 * Needs what bench/run.js needs, and chromium. What is measured goes to stdout, as markdown.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { chromium, type Page } from 'playwright-core'
import { packageRoot } from '../src/package-root.ts'
import { MiB } from '../src/units.ts'
import { judgeCard } from '../test/support/card-judge.ts'
import { makeSparseFile } from '../test/support/loop.ts'
import { namesOfDone, seenOut, startBatch } from '../test/support/station-page.ts'
import { removeLeftovers } from './leftovers.ts'
import { imageBytes, makeBenchImage, partsOf } from './make-image.ts'
import { makeBenchProject, nodeAddress, nodeName } from './make-project.ts'
import { attachDrive, openThrottle, type Throttle } from './throttled-drives.ts'

const SIZES = { boot: 128 * MiB, root: 96 * MiB, bootData: 16 * MiB, rootData: 48 * MiB }
const PAINTS = 5

const { values } = parseArgs({
  options: {
    cards: { type: 'string', default: '160' },
    readers: { type: 'string', default: '16' },
    write: { type: 'string', default: '10' },
    read: { type: 'string', default: '40' },
    work: { type: 'string', default: '/dev/shm/piimage-bench-station' },
  },
})
const cards = Number(values.cards)
const rates = { write: Number(values.write) * 1e6, read: Number(values.read) * 1e6 }

mkdirSync(values.work, { recursive: true })
removeLeftovers(values.work)
const folder = join(values.work, `cards-${process.pid}`)
mkdirSync(folder)
const image = makeBenchImage(values.work, SIZES)

/** One way to make them all. */
interface Way {
  name: string
  readers: string[]
  /** The node of each reader's card, once every one is done. */
  names(): Promise<Map<string, string>>
  /** Until it was seen that every reader is empty. */
  out(): Promise<unknown>
  end(): Promise<void>
  swapSeconds: number[]
  made: Set<string>
  mistakes: string[]
}

/** Its own readers, cluster, cache and journal. */
async function makePlace(name: string): Promise<{ readers: string[]; flags: string[] }> {
  const place = join(folder, name)
  mkdirSync(place)
  const project = await makeBenchProject(place, image, cards)
  return {
    readers: Array.from({ length: Number(values.readers) }, (_, index) => join(place, `reader${index + 1}`)),
    flags: ['--json', '--quiet', '--cluster', join(project, 'cluster.yaml'), '--cache', join(place, 'cache')],
  }
}

const children: ChildProcess[] = []

/** A child in the throttle, its events as they come. */
function start(
  throttle: Throttle,
  args: string[],
  onEvent: (event: Record<string, string>) => void,
): ChildProcess {
  const enter = throttle.groups.map((file) => `echo $$ > ${file}`).join(' && ')
  const words = [process.execPath, join(packageRoot(), 'dist/cli.js'), ...args]
  const child = spawn('sh', ['-c', `${enter} && exec "$@"`, 'sh', ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
    onEvent(JSON.parse(line)),
  )
  return child
}

const ended = (child: ChildProcess): Promise<unknown> =>
  child.exitCode === null && child.signalCode === null
    ? new Promise((resolve) => child.once('exit', resolve))
    : Promise.resolve()

async function beginFlash(throttle: Throttle): Promise<Way> {
  const { readers, flags } = await makePlace('flash')
  const done = new Map<string, string>()
  let onWaiting: () => void = () => {}
  const waiting = new Promise<void>((resolve) => {
    onWaiting = resolve
  })
  let onAll: () => void = () => {}
  let onFailed: (error: Error) => void = () => {}
  const child = start(throttle, ['flash', '--all', '--yes', ...readers, ...flags], (event) => {
    if (event.event === 'waiting') onWaiting()
    if (event.event === 'failed' || event.event === 'refused') onFailed(new Error(JSON.stringify(event)))
    if (event.event !== 'done') return
    done.set(event.drive as string, event.node as string)
    if (done.size === readers.length) onAll()
  })
  await waiting
  return {
    name: '`flash --all`',
    readers,
    async names() {
      if (done.size < readers.length)
        await new Promise<void>((resolve, reject) => {
          onAll = resolve
          onFailed = reject
        })
      const names = new Map(done)
      done.clear()
      return names
    },
    // It looks once a second.
    out: () => sleep(3_000),
    end: async () => void (await ended(child)),
    swapSeconds: [],
    made: new Set(),
    mistakes: [],
  }
}

async function beginStation(throttle: Throttle): Promise<Way> {
  const { readers, flags } = await makePlace('station')
  let onAddress: (address: string) => void = () => {}
  const address = new Promise<string>((resolve) => {
    onAddress = resolve
  })
  const child = start(throttle, ['station', ...readers, ...flags], (event) => {
    if (event.event === 'station') onAddress(event.address as string)
  })
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  })
  const page = await browser.newPage()
  page.setDefaultTimeout(600_000)
  await page.goto(await address)
  await startBatch(page)
  const paints: number[] = []
  for (let times = 0; times < PAINTS; times += 1) {
    await page.reload()
    await page.getByText('The batch is on.').waitFor()
    paints.push(await firstPaint(page))
  }
  process.stdout.write(`First paint of the page, ${PAINTS} times, ms: ${paints.join(', ')}\n\n`)
  return {
    name: '`station`, in Chromium',
    readers,
    names: () => namesOfDone(page, readers),
    out: () => seenOut(page, readers.length),
    async end() {
      await browser.close()
      child.kill('SIGTERM')
      await ended(child)
    },
    swapSeconds: [],
    made: new Set(),
    mistakes: [],
  }
}

/** Milliseconds from the request to the first text, by the browser's own clock. */
const firstPaint = (page: Page): Promise<number> =>
  page.evaluate(() => Math.round(performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1))

async function swap(way: Way, throttle: Throttle): Promise<void> {
  const loops = new Map<string, string>()
  let names: Map<string, string>
  try {
    for (const reader of way.readers) {
      makeSparseFile(`${reader}.card`, imageBytes(image))
      const loop = attachDrive(`${reader}.card`)
      loops.set(reader, loop)
      throttle.limit(loop, rates)
    }
    for (const [reader, loop] of loops) symlinkSync(loop, reader)
    const started = performance.now()
    names = await way.names()
    way.swapSeconds.push((performance.now() - started) / 1000)
  } finally {
    for (const [reader, loop] of loops) {
      rmSync(reader, { force: true })
      throttle.limit(loop, {})
      spawnSync('losetup', ['--detach', loop])
    }
  }
  await way.out()
  for (const [reader, node] of names) {
    if (way.made.has(node)) way.mistakes.push(`${node} was made twice`)
    way.made.add(node)
    way.mistakes.push(...judge(`${reader}.card`, node).map((problem) => `${node}: ${problem}`))
  }
  const said = `swap ${way.swapSeconds.length} by ${way.name}: ${way.swapSeconds.at(-1)?.toFixed(1)} s`
  process.stderr.write(`${said}; ${way.mistakes.length} mistakes; load ${loadavg()[0]?.toFixed(1)}\n`)
}

function judge(card: string, node: string): string[] {
  const index = Array.from({ length: cards }, (_, at) => nodeName(at)).indexOf(node)
  if (index < 0) return ['there is no such node']
  const expected = {
    cluster: 'bench',
    node,
    address: nodeAddress(index),
    stock: image.raw,
    ...partsOf(SIZES),
  }
  return judgeCard(card, expected)
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

const throttle = openThrottle()
try {
  const ways = [await beginFlash(throttle), await beginStation(throttle)] as const
  for (let left = cards; left > 0; left -= ways[0].readers.length)
    for (const way of ways) await swap(way, throttle)
  for (const way of ways) await way.end()
  const rows = ways.map(
    ({ name, swapSeconds, made, mistakes }) =>
      `| ${name} | ${made.size} | ${mistakes.length} | ${sum(swapSeconds).toFixed(1)} | ${swapSeconds.map((seconds) => seconds.toFixed(1)).join(', ')} |\n`,
  )
  const [flash, station] = ways.map(({ swapSeconds }) => sum(swapSeconds)) as [number, number]
  process.stdout.write(
    `Card: write ${values.write} MB/s, read ${values.read} MB/s; ${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]?.toFixed(1)}.\n\n` +
      `| by | cards | mix-ups | s | each swap |\n|---|---|---|---|---|\n${rows.join('')}\nStation / flash: ${(station / flash).toFixed(3)}\n`,
  )
  const mistakes = ways.flatMap((way) => way.mistakes)
  for (const mistake of mistakes) process.stderr.write(`${mistake}\n`)
  if (mistakes.length > 0) process.exitCode = 1
} finally {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(children.map(ended))
  throttle.remove()
  rmSync(folder, { recursive: true })
}
