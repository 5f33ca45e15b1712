/**
 * Does a card hold as much as it announces? Fakes answer every request and keep
 * only some: what lies beyond their real end lands at the start again (wraps),
 * or is dropped.
 *
 * A few hundred marks of 4 KiB find that out, whatever the announced size. With
 * n² grains on the card, n marks stand one grain apart at its start and n stand
 * n grains apart over all of it: every distance of whole grains lies between
 * two of them. So a card that wraps after any number of grains puts a near mark
 * over a far one, which then reads back as the near one. Where a card ends
 * early, the far marks beyond are not there, and bisection finds the grain.
 *
 *   far marks, flush          first, so that a near mark may land on them
 *   near marks, flush         they also push the far ones out of the card's own memory
 *   read both back            past the page cache (./direct-file.ts)
 *
 * The marks stay where they are: a card is probed to be overwritten. Each
 * carries a number of this run, or a card that drops what is written would
 * pass with the marks of the last probe. The first MiB is not touched.
 */
import { randomBytes } from 'node:crypto'
import { DriveError } from '../errors.ts'
import { alignDown, formatBytes, KiB, MiB } from '../units.ts'
import { inParallel } from './concurrency.ts'
import type { Target } from './target.ts'
import { flushTarget, readTarget, TargetFault, writeTarget } from './target-fault.ts'

/** One mark: a page, the least that every drive takes past the page cache. */
export const MARK_BYTES = 4 * KiB
/** Grains are at least this large; on a card of 64 GB they have 1 MiB. */
const LEAST_GRAIN_BYTES = 64 * KiB
const MOST_GRAINS = 2 ** 16
/** Where the marks begin: what makes a card boot is somebody else's. */
const FIRST_BYTES = MiB

/** What a probe found; `holds` is exact to a grain. */
export type Capacity =
  | { kind: 'whole' }
  /** What is written `holds` bytes further on lands on the same place. */
  | { kind: 'wraps'; holds: number }
  /** Nothing from `holds` on is kept. */
  | { kind: 'ends'; holds: number }
  /** Some places keep nothing, with good ones behind them. */
  | { kind: 'holes'; places: number; first: number; tried: number }

export interface ProbeReport {
  capacity: Capacity
  bytesWritten: number
}

export interface ProbeJob {
  target: Target
  /** Page-aligned, at least two pages each, one per request in flight. */
  buffers: readonly Buffer[]
  signal: AbortSignal
  /** Marks written or read so far, of how many. */
  onMark: (done: number, total: number) => void
}

/** The card announces more than it holds, or has holes. */
export class CapacityError extends DriveError {
  constructor(
    drive: string,
    announced: number,
    capacity: Exclude<Capacity, { kind: 'whole' }>,
    outcome: string,
  ) {
    super(`${drive} ${describeCapacity(announced, capacity)}; ${outcome}`, {
      hint: 'Use another card. One that announces more than it holds was sold as what it is not: give it back.',
    })
  }
}

function describeCapacity(announced: number, capacity: Exclude<Capacity, { kind: 'whole' }>): string {
  if (capacity.kind === 'holes') {
    const { places, tried, first } = capacity
    return `announces ${formatBytes(announced)} and does not keep what is written at ${places} of ${tried} places, the first at offset ${first}`
  }
  const beyond =
    capacity.kind === 'wraps'
      ? 'what is written beyond that lands at its start again'
      : 'what is written beyond that is lost'
  return `announces ${formatBytes(announced)}, holds ${formatBytes(capacity.holds)}: ${beyond}`
}

/**
 * Write marks all over a card, and look for them.
 * @throws {TargetFault} it takes no mark at all
 */
export async function probeCapacity(job: ProbeJob): Promise<ProbeReport> {
  return new Probe(job).run()
}

/** Where marks stand on a card of `length` bytes. Offsets in bytes, ascending. */
export function planMarks(length: number): { grain: number; near: number[]; far: number[] } {
  let grain = LEAST_GRAIN_BYTES
  while (length / grain > MOST_GRAINS) grain *= 2
  const last = alignDown(length, MARK_BYTES) - MARK_BYTES
  const grains = Math.floor((last - FIRST_BYTES) / grain)
  if (grains < 1) return { grain, near: [], far: [] }
  const count = Math.ceil(Math.sqrt(grains + 1))
  const at = (index: number) => FIRST_BYTES + index * grain
  const near = Array.from({ length: Math.min(count, grains + 1) }, (_, index) => at(index))
  const far = new Set<number>()
  for (let index = count; index <= grains; index += count) far.add(at(index))
  // The last grain makes up for the step that is cut short; the last page may be beyond it.
  far.add(at(grains))
  far.add(last)
  for (const offset of near) far.delete(offset)
  return { grain, near, far: [...far].sort((a, b) => a - b) }
}

class Probe {
  readonly #job: ProbeJob
  readonly #run = randomBytes(16)
  #bytesWritten = 0
  #done = 0
  #total = 0

  constructor(job: ProbeJob) {
    this.#job = job
  }

  async run(): Promise<ProbeReport> {
    const { grain, near, far } = planMarks(this.#job.target.length)
    this.#total = 2 * (near.length + far.length)
    const refused = new Map<number, TargetFault>()
    // From the end to the start: where two of a kind share a place, the lower one stays.
    for (const marks of [far, near]) {
      await this.#each([...marks].reverse(), refused, (buffer, offset) => this.#write(buffer, offset))
      await flushTarget(this.#job.target)
    }
    const found = new Map<number, number | undefined>()
    await this.#each([...far, ...near], refused, async (buffer, offset) => {
      found.set(offset, await this.#read(buffer, offset))
    })
    const marks = [...near, ...far].sort((a, b) => a - b)
    const [fault] = refused.values()
    if (fault !== undefined && refused.size === marks.length) throw fault
    return { capacity: await this.#judge(marks, found, grain), bytesWritten: this.#bytesWritten }
  }

  async #judge(
    marks: readonly number[],
    found: ReadonlyMap<number, number | undefined>,
    grain: number,
  ): Promise<Capacity> {
    const bad = marks.filter((offset) => found.get(offset) !== offset)
    const [firstBad] = bad
    if (firstBad === undefined) return { kind: 'whole' }
    const distances = bad.flatMap((offset) => {
      const other = found.get(offset)
      return other === undefined ? [] : [Math.abs(offset - other)]
    })
    if (distances.length > 0) return { kind: 'wraps', holds: distances.reduce(commonDivisor) }
    const good = marks.filter((offset) => found.get(offset) === offset)
    const lastGood = good.at(-1) ?? 0
    if (lastGood > firstBad)
      return { kind: 'holes', places: bad.length, first: firstBad, tried: marks.length }
    return { kind: 'ends', holds: await this.#findEnd(lastGood, firstBad, grain) }
  }

  /** @returns the first grain's start after `good` that keeps nothing */
  async #findEnd(good: number, bad: number, grain: number): Promise<number> {
    let [from, to] = [good, bad]
    const [buffer] = this.#job.buffers as [Buffer]
    while (to - from > grain) {
      const middle = from + Math.max(1, Math.floor((to - from) / grain / 2)) * grain
      const refused = new Map<number, TargetFault>()
      let kept: number | undefined
      await this.#each([middle], refused, async (_, offset) => {
        await this.#write(buffer, offset)
        await flushTarget(this.#job.target)
        kept = await this.#read(buffer, offset)
      })
      if (kept === middle) from = middle
      else to = middle
    }
    return to
  }

  /** Do `work` at each place; a place that the drive refuses is noted, and is one that holds nothing. */
  async #each(
    offsets: readonly number[],
    refused: Map<number, TargetFault>,
    work: (buffer: Buffer, offset: number) => Promise<void>,
  ): Promise<void> {
    const { buffers, signal, onMark } = this.#job
    await inParallel(buffers.length, offsets, async (offset, worker) => {
      signal.throwIfAborted()
      try {
        await work(buffers[worker] as Buffer, offset)
      } catch (error) {
        if (!(error instanceof TargetFault)) throw error
        refused.set(offset, error)
      }
      this.#done += 1
      if (this.#done <= this.#total) onMark(this.#done, this.#total)
    })
  }

  async #write(buffer: Buffer, offset: number): Promise<void> {
    const mark = buffer.subarray(0, MARK_BYTES)
    this.#fill(mark, offset)
    await writeTarget(this.#job.target, mark, offset)
    this.#bytesWritten += MARK_BYTES
  }

  /** @returns the offset of the mark that stands there; undefined: none of ours, or not whole */
  async #read(buffer: Buffer, offset: number): Promise<number | undefined> {
    const mark = buffer.subarray(0, MARK_BYTES)
    await readTarget(this.#job.target, mark, offset)
    if (!mark.subarray(0, this.#run.length).equals(this.#run)) return undefined
    const says = Number(mark.readBigUInt64LE(this.#run.length))
    const expected = buffer.subarray(MARK_BYTES, 2 * MARK_BYTES)
    this.#fill(expected, says)
    return mark.equals(expected) ? says : undefined
  }

  /** The run's number and the offset, again and again. */
  #fill(mark: Buffer, offset: number): void {
    const word = Buffer.alloc(32)
    this.#run.copy(word)
    word.writeBigUInt64LE(BigInt(offset), this.#run.length)
    mark.fill(word)
  }
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}
