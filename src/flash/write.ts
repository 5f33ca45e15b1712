/**
 * One card: written, read back and compared, in an order that leaves no half
 * card bootable.
 *
 *   zero the first MiB, flush        the card no longer boots
 *   everything after the first MiB   only the ranges that hold data
 *   flush, read back, compare        past the page cache
 *   wait for the image's digests     nothing unverified becomes bootable
 *   the first MiB, last              its first 4 KiB (the partition table) last of all
 *
 * Whatever fails or stops on the way, the partition table is not there.
 *
 * `writeCard` holds no state but its own, so any number can run side by side,
 * each with its own image, pace and failure. Memory: two requests of 4 MiB per
 * card, and as much of the image while a request is prepared. The requests wait
 * in Node's thread pool: it has four threads for all cards together unless
 * UV_THREADPOOL_SIZE gave it more before Node started.
 */
import type { BlockReader, Range } from '../disk/blocks.ts'
import { DriveError, InterruptedError, UsageError } from '../errors.ts'
import { allocateAligned } from '../io/aligned-buffer.ts'
import type { Task } from '../progress.ts'
import { alignDown, alignUp, formatBytes, MiB, SECTOR_BYTES } from '../units.ts'
import { VerifyError } from './difference.ts'
import { inLanes, orAborted } from './lanes.ts'
import { findDamage, laneBuffer, readImage } from './read-back.ts'
import { planRequests, REQUEST_BYTES } from './requests.ts'
import { ALIGN_BYTES, type Target } from './target.ts'
import {
  commitTarget,
  describeFault,
  flushTarget,
  readTarget,
  TargetFault,
  writeTarget,
} from './target-fault.ts'

export interface CardRequest {
  /** Opened by `openDriveTarget` or `openFileTarget`; the caller closes it. */
  target: Target
  /** One node's image: a base with the node's Changes over it. */
  image: BlockReader
  /** What must be written, from the file systems' own free maps; in any order, any alignment. */
  ranges: readonly Range[]
  /** Resolves when the image's whole digest chain holds; awaited before the first MiB is written. */
  verified: () => Promise<void>
  /** Read back and compare. */
  verify: boolean
  /** Whose card it is, for progress. */
  node?: string
}

export interface CardReport {
  /** The drive's or the file's path. */
  drive: string
  bytesWritten: number
  /** Bytes of the image that were not written, because nothing needs them. */
  bytesSkipped: number
  bytesVerified: number
  /** Whether writing and reading back went past the page cache. */
  direct: boolean
  /** Contiguous runs written, the first MiB included. */
  rangesWritten: number
  seconds: { write: number; verify: number; total: number }
}

/** How many requests a drive is given at once: the second hides the pause between two. */
const LANES = 2
/** Written last: the partition table, and whatever else makes a card boot. */
const HEAD_BYTES = MiB
/** A backup GPT: 32 sectors of entries and the header, at the very end of a drive. */
const BACKUP_GPT_BYTES = 33 * SECTOR_BYTES

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
  readonly #head: number
  readonly #requests: Range[]
  readonly #totalBytes: number
  readonly #buffers = allocateAligned(LANES, REQUEST_BYTES)
  /** Of the first MiB. `old`: untouched; `blanking`: may be old; `blank`: zero; `head`: may be bootable; `done`. */
  #state: 'old' | 'blanking' | 'blank' | 'head' | 'done' = 'old'
  #bytesWritten = 0
  #bytesVerified = 0
  #writeSeconds = 0
  #verifySeconds = 0

  constructor(request: CardRequest, task: Task) {
    const { target, image, ranges } = request
    if (image.length > target.length)
      throw new UsageError(
        `the image has ${formatBytes(image.length)}, ${target.path} only ${formatBytes(target.length)}`,
        { hint: 'Use a larger card.' },
      )
    this.#request = request
    this.#task = task
    this.#head = Math.min(HEAD_BYTES, target.length)
    const end = Math.min(target.length, alignUp(image.length, ALIGN_BYTES))
    this.#requests = planRequests(ranges, this.#head, end)
    this.#totalBytes = this.#head + this.#requests.reduce((sum, { length }) => sum + length, 0)
  }

  async run(): Promise<CardReport> {
    const started = performance.now()
    try {
      await this.#blankHead()
      await this.#writeRest()
      await this.#compare(this.#requests)
      await orAborted(this.#request.verified(), this.#task.signal)
      await this.#writeHead()
      this.#task.signal.throwIfAborted()
      this.#state = 'done'
      await commitTarget(this.#request.target)
    } catch (error) {
      throw await this.#explain(error)
    }
    const { image, target } = this.#request
    const last = this.#requests.at(-1)
    const end = last === undefined ? this.#head : last.offset + last.length
    // What was written past the image's end is rounding, and no part of it.
    const beyond = Math.max(0, end - image.length)
    return {
      drive: target.path,
      bytesWritten: this.#bytesWritten,
      bytesSkipped: image.length - (this.#bytesWritten - beyond),
      bytesVerified: this.#bytesVerified,
      direct: target.direct,
      rangesWritten: countRuns(this.#head, this.#requests),
      seconds: {
        write: this.#writeSeconds,
        verify: this.#verifySeconds,
        total: (performance.now() - started) / 1000,
      },
    }
  }

  /** Make the card unbootable, and say so to the medium before anything else is written. */
  async #blankHead(): Promise<void> {
    this.#task.signal.throwIfAborted()
    const { target } = this.#request
    const zeroes = laneBuffer(this.#buffers, 0).subarray(0, this.#head)
    zeroes.fill(0)
    this.#state = 'blanking'
    await writeTarget(target, zeroes, 0)
    await this.#blankBackupGpt()
    await flushTarget(target)
    this.#state = 'blank'
  }

  /** A GPT of an earlier life would be found again by partition tools, and offered as a repair. */
  async #blankBackupGpt(): Promise<void> {
    const { target, image } = this.#request
    const from = alignDown(target.length - BACKUP_GPT_BYTES, ALIGN_BYTES)
    if (target.kind === 'file' || from < this.#head) return
    const end = laneBuffer(this.#buffers, 0).subarray(0, target.length - from)
    await readTarget(target, end, from)
    const keep = Math.max(0, alignUp(image.length, SECTOR_BYTES) - from)
    const header = end.length - SECTOR_BYTES
    if (keep > header || end.toString('latin1', header, header + 8) !== 'EFI PART') return
    end.fill(0, Math.max(keep, end.length - BACKUP_GPT_BYTES))
    await writeTarget(target, end, from)
  }

  async #writeRest(): Promise<void> {
    const { target, image } = this.#request
    const { signal } = this.#task
    const started = performance.now()
    this.#report('write', this.#bytesWritten)
    await inLanes(LANES, this.#requests, async (range, lane) => {
      signal.throwIfAborted()
      const bytes = await readImage(image, range, laneBuffer(this.#buffers, lane), signal)
      await writeTarget(target, bytes, range.offset)
      this.#bytesWritten += range.length
      this.#report('write', this.#bytesWritten)
    })
    await flushTarget(target)
    this.#writeSeconds += (performance.now() - started) / 1000
  }

  /** The first MiB: all but the partition table, then, when that is safe on the medium, the table. */
  async #writeHead(): Promise<void> {
    const table = Math.min(ALIGN_BYTES, this.#head)
    const parts = [
      { offset: table, length: this.#head - table },
      { offset: 0, length: table },
    ].filter(({ length }) => length > 0)
    this.#state = 'head'
    for (const part of parts) {
      const started = performance.now()
      this.#task.signal.throwIfAborted()
      const { target, image } = this.#request
      const bytes = await readImage(image, part, laneBuffer(this.#buffers, 0), this.#task.signal)
      await writeTarget(target, bytes, part.offset)
      await flushTarget(target)
      this.#bytesWritten += part.length
      this.#writeSeconds += (performance.now() - started) / 1000
      this.#report('write', this.#bytesWritten)
      await this.#compare([part])
    }
  }

  async #compare(requests: readonly Range[]): Promise<void> {
    if (!this.#request.verify) return
    const started = performance.now()
    this.#report('verify', this.#bytesVerified)
    const damage = await findDamage({
      target: this.#request.target,
      image: this.#request.image,
      requests,
      buffers: this.#buffers,
      signal: this.#task.signal,
      onEqual: (bytes) => {
        this.#bytesVerified += bytes
        this.#report('verify', this.#bytesVerified)
      },
    })
    this.#verifySeconds += (performance.now() - started) / 1000
    if (damage === undefined) return
    // On a card that wraps around, what was written last may lie where the zeroes were.
    this.#state = 'head'
    throw new VerifyError(this.#request.target.path, damage, await this.#ensureUnbootable())
  }

  /** What the caller sees of a failure, after the card was made safe. */
  async #explain(error: unknown): Promise<unknown> {
    const outcome = await this.#ensureUnbootable()
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

  /** Zero the first MiB again if it may be there. @returns what state the card is in, as half a sentence */
  async #ensureUnbootable(): Promise<string> {
    const { target } = this.#request
    if (target.kind === 'file') return 'no file was made'
    if (this.#state === 'old') return 'nothing was written'
    if (this.#state === 'blanking') return 'what was on it may still be there'
    if (this.#state === 'done') return 'the card is complete'
    if (this.#state === 'head') {
      try {
        const zeroes = laneBuffer(this.#buffers, 0).subarray(0, this.#head)
        zeroes.fill(0)
        await target.write(zeroes, 0)
        await target.flush()
        this.#state = 'blank'
      } catch {
        return 'the card may still look bootable: do not use it'
      }
    }
    return 'the card was left unbootable'
  }

  /** A drive that can't even give its first sectors has been pulled out. */
  async #isGone(): Promise<boolean> {
    const { target } = this.#request
    if (target.kind === 'file') return false
    return target.read(laneBuffer(this.#buffers, 0).subarray(0, ALIGN_BYTES), 0).then(
      () => false,
      () => true,
    )
  }

  #report(phase: 'write' | 'verify', bytes: number): void {
    this.#task.report({
      phase,
      subject: this.#request.target.path,
      ...(this.#request.node === undefined ? {} : { node: this.#request.node }),
      bytes,
      totalBytes: this.#totalBytes,
    })
  }
}

/** Runs of requests that touch, with the head before them. */
function countRuns(head: number, requests: readonly Range[]): number {
  let runs = 1
  let end = head
  for (const { offset, length } of requests) {
    if (offset !== end) runs += 1
    end = offset + length
  }
  return runs
}
