/**
 * One card: written, read back and compared, in an order that leaves no half
 * card bootable.
 *
 *   zero the first MiB, flush        the card no longer boots (./boot-area.ts)
 *   probe its size, where asked      (./probe.ts)
 *   everything after the first MiB   only the ranges that hold data; zeroes only where the card has others
 *   flush, read back, compare        past the page cache; bad ranges once more
 *   wait for the image's digests     nothing unverified becomes bootable
 *   the first MiB, last              its first 4 KiB (the partition table) last of all
 *
 * Whatever fails or stops on the way, the partition table is not there. With
 * `changedOnly` the card is first compared as a whole; then the same order is
 * kept for what differs, and a card that differs nowhere is not touched.
 *
 * The image may still be growing: a request is written when its bytes are
 * there. `writeCard` holds no state but its own, so any number can run side by
 * side, each with its own image, pace and failure. Memory: two requests per
 * card. The requests wait in Node's thread pool: it has four threads for all
 * cards together unless UV_THREADPOOL_SIZE gave it more before Node started.
 */
import { mergeRanges, type Range } from '../disk/blocks.ts'
import { DriveError, InterruptedError, UsageError } from '../errors.ts'
import { allocateAligned } from '../io/aligned-buffer.ts'
import type { Task } from '../progress.ts'
import { alignUp, formatBytes } from '../units.ts'
import { findStaleGpt } from './backup-gpt.ts'
import { BootArea } from './boot-area.ts'
import { type CardReport, type CardRequest, CONCURRENCY } from './card.ts'
import { inParallel, orAborted } from './concurrency.ts'
import { VerifyError } from './difference.ts'
import { CapacityError, MARK_BYTES, probeCapacity } from './probe.ts'
import { listChanged, readBack, readImage, workerBuffer } from './read-back.ts'
import { planRequests, REQUEST_BYTES, type RequestBounds, streamRequests } from './requests.ts'
import { ALIGN_BYTES } from './target.ts'
import { commitTarget, describeFault, flushTarget, TargetFault, writeTarget } from './target-fault.ts'
import { ZeroBlocks } from './zero-blocks.ts'

const RETRIES = 2

/**
 * @throws {VerifyError} the card does not hold what was written
 * @throws {DriveError} the drive failed or went away
 * @throws {InterruptedError} `task.signal` aborted
 * @throws {UsageError} the image does not fit
 * @throws whatever reading the image or `verified` throws
 */
export async function writeCard(request: CardRequest, task: Task): Promise<CardReport> {
  return new CardWriter(request, task).run()
}

class CardWriter {
  readonly #request: CardRequest
  readonly #task: Task
  readonly #bootArea: BootArea
  readonly #bounds: RequestBounds
  readonly #buffers: readonly Buffer[]
  /** What the card holds after the boot area as it should: what is read back. */
  readonly #requests: Range[] = []
  /** What was written, in order of offsets once all of it was. */
  readonly #written: Range[] = []
  #totalBytes: number | null = null
  #bytesWritten = 0
  #bytesFoundZero = 0
  #bytesVerified = 0
  #bytesCompared = 0
  #bytesProbed = 0
  readonly #repaired: Range[] = []
  #writeSeconds = 0
  #verifySeconds = 0

  constructor(request: CardRequest, task: Task) {
    const { target, image, requestBytes = REQUEST_BYTES } = request
    if (image.length > target.length)
      throw new UsageError(
        `the image has ${formatBytes(image.length)}, ${target.path} only ${formatBytes(target.length)}`,
        { hint: 'Use a larger card.' },
      )
    if (request.probe === true && request.changedOnly === true)
      throw new Error('a probe writes where changedOnly keeps what is there')
    this.#request = request
    this.#task = task
    this.#bootArea = new BootArea(target)
    const end = Math.min(target.length, alignUp(image.length, ALIGN_BYTES))
    this.#bounds = { begin: this.#bootArea.length, end, mostBytes: requestBytes }
    this.#buffers = allocateAligned(CONCURRENCY, requestBytes)
  }

  async run(): Promise<CardReport> {
    const started = performance.now()
    try {
      const requests = this.#request.changedOnly ? await this.#planChanged() : this.#planAll()
      if (requests !== undefined) await this.#writeInOrder(requests)
      else await orAborted(this.#request.verified(), this.#task.signal)
      this.#task.signal.throwIfAborted()
      this.#bootArea.finish()
      await commitTarget(this.#request.target)
    } catch (error) {
      throw await this.#explain(error)
    }
    const { image, target } = this.#request
    this.#written.sort((a, b) => a.offset - b.offset)
    const last = this.#written.at(-1)
    // What was written past the image's end is rounding, and no part of it.
    const beyond = last === undefined ? 0 : Math.max(0, last.offset + last.length - image.length)
    return {
      drive: target.path,
      bytesWritten: this.#bytesWritten,
      bytesSkipped: image.length - (this.#bytesWritten - beyond),
      bytesFoundZero: this.#bytesFoundZero,
      bytesVerified: this.#bytesVerified,
      bytesCompared: this.#bytesCompared,
      bytesProbed: this.#bytesProbed,
      direct: target.direct,
      rangesWritten: this.#written.length === 0 ? 0 : mergeRanges(this.#written).length,
      rangesRepaired: this.#repaired,
      seconds: {
        write: this.#writeSeconds,
        verify: this.#verifySeconds,
        total: (performance.now() - started) / 1000,
      },
    }
  }

  #planAll(): Iterable<Range> | AsyncIterable<Range> {
    const { ranges } = this.#request
    return isList(ranges) ? planRequests(ranges, this.#bounds) : streamRequests(ranges, this.#bounds)
  }

  /** @returns undefined: the card is as it should be */
  async #planChanged(): Promise<readonly Range[] | undefined> {
    const { target, image } = this.#request
    const started = performance.now()
    const list = (requests: Iterable<Range> | AsyncIterable<Range>) =>
      listChanged({
        target,
        image,
        requests,
        buffers: this.#buffers,
        blockBytes: ALIGN_BYTES,
        signal: this.#task.signal,
        onRead: (count) => {
          this.#bytesCompared += count
          this.#report('check', this.#bytesCompared)
        },
      })
    const changed = await list(this.#planAll())
    const bootArea = await list([{ offset: 0, length: this.#bootArea.length }])
    this.#verifySeconds += (performance.now() - started) / 1000
    if (changed.length === 0 && bootArea.length === 0 && (await this.#staleGpt()) === undefined)
      return undefined
    return planRequests(changed, this.#bounds)
  }

  async #writeInOrder(requests: Iterable<Range> | AsyncIterable<Range>): Promise<void> {
    this.#totalBytes = Array.isArray(requests) ? this.#bytesOf(requests) : null
    this.#task.signal.throwIfAborted()
    await this.#bootArea.blank(() => this.#staleGpt())
    if (this.#request.probe === true) await this.#probe()
    await this.#writeRest(requests)
    await this.#compare(this.#requests)
    await orAborted(this.#request.verified(), this.#task.signal)
    await this.#writeHead()
  }

  /** @throws {CapacityError} the card holds less than it announces */
  async #probe(): Promise<void> {
    const { target } = this.#request
    const { signal, report } = this.#task
    // A mark beyond the end of a card that wraps may land in its first MiB.
    this.#bootArea.suspect()
    const { capacity, bytesWritten } = await probeCapacity({
      target,
      buffers: this.#buffers,
      signal,
      onMark: (done, total) =>
        report({
          phase: 'check',
          subject: target.path,
          bytes: done * MARK_BYTES,
          totalBytes: total * MARK_BYTES,
        }),
    })
    this.#bytesProbed = bytesWritten
    if (capacity.kind !== 'whole')
      throw new CapacityError(target.path, target.length, capacity, await this.#bootArea.ensureUnbootable())
    this.#bootArea.trust()
  }

  #staleGpt() {
    const { target, image } = this.#request
    return findStaleGpt(target, image.length, this.#bootArea.length, workerBuffer(this.#buffers, 0))
  }

  async #writeRest(requests: Iterable<Range> | AsyncIterable<Range>): Promise<void> {
    const { target, image } = this.#request
    const { signal } = this.#task
    const started = performance.now()
    // What was compared already is known to differ.
    const look = (this.#request.skipZeroes ?? true) && !this.#request.changedOnly
    const zeroes = look ? new ZeroBlocks(target) : undefined
    this.#report('write', 0)
    await inParallel(CONCURRENCY, requests, async (range, worker) => {
      signal.throwIfAborted()
      this.#requests.push(range)
      const bytes = await readImage(image, range, workerBuffer(this.#buffers, worker), signal)
      let missing = 0
      for (const { offset, length } of (await zeroes?.listMissing(range, bytes)) ?? [range]) {
        const at = offset - range.offset
        await this.#write(bytes.subarray(at, at + length), offset)
        missing += length
      }
      this.#bytesFoundZero += range.length - missing
      this.#report('write', this.#bytesDone)
    })
    this.#totalBytes = this.#bytesOf(this.#requests)
    await flushTarget(target)
    this.#writeSeconds += (performance.now() - started) / 1000
  }

  /** All but the partition table, then, when that is safe on the medium, the table. */
  async #writeHead(): Promise<void> {
    this.#bootArea.suspect()
    for (const part of this.#bootArea.parts) {
      const started = performance.now()
      this.#task.signal.throwIfAborted()
      const { target, image } = this.#request
      const bytes = await readImage(image, part, workerBuffer(this.#buffers, 0), this.#task.signal)
      await this.#write(bytes, part.offset)
      await flushTarget(target)
      this.#writeSeconds += (performance.now() - started) / 1000
      this.#report('write', this.#bytesDone)
      await this.#compare([part])
    }
  }

  async #write(bytes: Buffer, offset: number): Promise<void> {
    await writeTarget(this.#request.target, bytes, offset)
    this.#written.push({ offset, length: bytes.length })
    this.#bytesWritten += bytes.length
  }

  /** What needs no more writing. */
  get #bytesDone(): number {
    return this.#bytesWritten + this.#bytesFoundZero
  }

  async #compare(requests: readonly Range[]): Promise<void> {
    if (!this.#request.verify) return
    const started = performance.now()
    this.#report('verify', this.#bytesVerified)
    const { damage, repaired } = await readBack({
      target: this.#request.target,
      image: this.#request.image,
      requests,
      buffers: this.#buffers,
      retries: this.#request.retries ?? RETRIES,
      signal: this.#task.signal,
      onEqual: (bytes) => {
        this.#bytesVerified += bytes
        this.#report('verify', this.#bytesVerified)
      },
    })
    this.#repaired.push(...repaired)
    this.#verifySeconds += (performance.now() - started) / 1000
    if (damage === undefined) return
    // On a card that wraps around, what was written last may lie where the zeroes were.
    this.#bootArea.suspect()
    throw new VerifyError(this.#request.target.path, damage, await this.#bootArea.ensureUnbootable())
  }

  /** What the caller sees of a failure, after the card was made safe. */
  async #explain(error: unknown): Promise<unknown> {
    const outcome = await this.#bootArea.ensureUnbootable()
    const { target } = this.#request
    if (this.#task.signal.aborted)
      return new InterruptedError(`stopped while writing ${target.path}; ${outcome}`, {
        hint: 'Run the same command again to write it from the start.',
        cause: this.#task.signal.reason,
      })
    if (!(error instanceof TargetFault)) return error
    const [what, hint] = describeFault(error, target, await this.#isGone())
    return new DriveError(`${what}; ${outcome}`, { hint, cause: error.cause })
  }

  /** A drive that can't even give its first sectors has been pulled out. */
  async #isGone(): Promise<boolean> {
    const { target } = this.#request
    if (target.kind === 'file') return false
    return target.read(workerBuffer(this.#buffers, 0).subarray(0, ALIGN_BYTES), 0).then(
      () => false,
      () => true,
    )
  }

  #bytesOf(requests: readonly Range[]): number {
    return this.#bootArea.length + requests.reduce((sum, { length }) => sum + length, 0)
  }

  #report(phase: 'write' | 'verify' | 'check', bytes: number): void {
    const { target, node, ranges } = this.#request
    const known = isList(ranges) ? ranges : ranges.known
    if (this.#totalBytes === null && known !== undefined)
      this.#totalBytes = this.#bytesOf(planRequests(known, this.#bounds))
    this.#task.report({ phase, subject: target.path, node, bytes, totalBytes: this.#totalBytes })
  }
}

const isList = (ranges: CardRequest['ranges']): ranges is readonly Range[] => Array.isArray(ranges)
