/**
 * A card or image file that is changed in a few places, in an order that leaves
 * nothing half-changed bootable.
 *
 *   zero the partition table, flush       the card no longer boots
 *   the changed sectors, flush            nothing else is written
 *   read back and compare                 past the page cache, on a drive
 *   the partition table, last             and compared too
 *
 * What stood there before is kept in memory: should anything fail or be
 * stopped, it is put back, table last. Only where that fails too (the card was
 * pulled, the power went) is the card left without a partition table, on purpose.
 *
 * Files are changed in place like drives: a copy of gigabytes for a few sectors
 * is not worth it, and a file that was stopped half-way shows it as plainly.
 */
import type { BlockReader, Range } from '../disk/blocks.ts'
import { DriveError, InterruptedError } from '../errors.ts'
import { allocateAligned } from '../io/aligned-buffer.ts'
import type { Task } from '../progress.ts'
import { SECTOR_BYTES } from '../units.ts'
import { type Difference, describeDifference, findDifference, VerifyError } from './difference.ts'
import { REQUEST_BYTES } from './requests.ts'
import type { Target } from './target.ts'
import { describeFault, flushTarget, readTarget, TargetFault, writeTarget } from './target-fault.ts'

export interface PatchRequest {
  target: Target
  /** What the target holds now. */
  before: BlockReader
  /** What it is to hold. */
  after: BlockReader
  /** Where the two differ: whole sectors, in order, none of them the first. */
  ranges: readonly Range[]
}

export interface PatchReport {
  drive: string
  bytesWritten: number
  bytesVerified: number
}

interface Piece {
  offset: number
  before: Uint8Array
  after: Uint8Array
}

/**
 * @throws {VerifyError} the card does not hold what was written
 * @throws {DriveError} the drive failed or went away
 * @throws {InterruptedError} `task.signal` aborted; the card is as it was
 */
export async function patchCard(request: PatchRequest, task: Task): Promise<PatchReport> {
  const { target } = request
  const [table, ...pieces] = await readPieces(request)
  if (table === undefined || pieces.some(({ offset }) => offset < SECTOR_BYTES))
    throw new Error('the first sector is not for patching')
  const [buffer] = allocateAligned(1, REQUEST_BYTES)
  if (buffer === undefined) throw new Error('no buffer')
  const patch = new Patch(target, buffer, pieces, table)
  try {
    await patch.apply(request.after, task)
  } catch (error) {
    const outcome = await patch.undo()
    if (task.signal.aborted)
      throw new InterruptedError(`stopped while changing ${target.path}; ${outcome}`, {
        hint: 'Run the same command again.',
        cause: task.signal.reason,
      })
    if (error instanceof PatchDamage) throw new VerifyError(target.path, error.difference, outcome)
    if (!(error instanceof TargetFault)) throw error
    const [what, hint] = describeFault(error, target, await patch.isGone())
    throw new DriveError(`${what}; ${outcome}`, { hint, cause: error.cause })
  }
  const bytes = pieces.reduce((sum, { after }) => sum + after.length, table.after.length)
  return { drive: target.path, bytesWritten: bytes, bytesVerified: bytes }
}

/** All of both sides, before anything is written: the first sector, then what changes. */
async function readPieces({ before, after, ranges }: PatchRequest): Promise<Piece[]> {
  const pieces: Piece[] = []
  for (const range of [{ offset: 0, length: SECTOR_BYTES }, ...ranges]) {
    for (let done = 0; done < range.length; done += REQUEST_BYTES) {
      const offset = range.offset + done
      const length = Math.min(REQUEST_BYTES, range.length - done)
      const [old, fresh] = [await before.read(offset, length), await after.read(offset, length)]
      pieces.push({ offset, before: Uint8Array.from(old), after: Uint8Array.from(fresh) })
    }
  }
  return pieces
}

class PatchDamage extends Error {
  readonly difference: Difference

  constructor(difference: Difference) {
    super('read back different')
    this.difference = difference
  }
}

class Patch {
  readonly #target: Target
  readonly #buffer: Buffer
  readonly #pieces: readonly Piece[]
  readonly #table: Piece
  #touched = false

  constructor(target: Target, buffer: Buffer, pieces: readonly Piece[], table: Piece) {
    this.#target = target
    this.#buffer = buffer
    this.#pieces = pieces
    this.#table = table
  }

  async apply(image: BlockReader, task: Task): Promise<void> {
    task.signal.throwIfAborted()
    this.#touched = true
    await this.#write(0, new Uint8Array(SECTOR_BYTES))
    await flushTarget(this.#target)
    const totalBytes = this.#pieces.reduce((sum, { after }) => sum + after.length, 0)
    for (const phase of ['write', 'verify'] as const) {
      let bytes = 0
      for (const { offset, after } of this.#pieces) {
        task.signal.throwIfAborted()
        if (phase === 'write') await this.#write(offset, after)
        else await this.#compare(offset, after, image)
        bytes += after.length
        task.report({ phase, subject: this.#target.path, bytes, totalBytes })
      }
      if (phase === 'write') await flushTarget(this.#target)
    }
    task.signal.throwIfAborted()
    await this.#write(0, this.#table.after)
    await flushTarget(this.#target)
    await this.#compare(0, this.#table.after, image)
  }

  /** @returns what state the card is in, as half a sentence */
  async undo(): Promise<string> {
    if (!this.#touched) return 'nothing was written'
    try {
      await this.#write(0, new Uint8Array(SECTOR_BYTES))
      for (const { offset, before } of this.#pieces) await this.#write(offset, before)
      await flushTarget(this.#target)
      for (const { offset, before } of this.#pieces) await this.#compare(offset, before)
      await this.#write(0, this.#table.before)
      await flushTarget(this.#target)
      await this.#compare(0, this.#table.before)
      return 'it is as it was before'
    } catch {
      return 'it was left without a partition table: flash it again'
    }
  }

  /** A drive that can't even give its first sector has been pulled out. */
  async isGone(): Promise<boolean> {
    if (this.#target.kind === 'file') return false
    return this.#target.read(this.#buffer.subarray(0, SECTOR_BYTES), 0).then(
      () => false,
      () => true,
    )
  }

  async #write(offset: number, bytes: Uint8Array): Promise<void> {
    const aligned = this.#buffer.subarray(0, bytes.length)
    aligned.set(bytes)
    await writeTarget(this.#target, aligned, offset)
  }

  async #compare(offset: number, expected: Uint8Array, image?: BlockReader): Promise<void> {
    const actual = this.#buffer.subarray(0, expected.length)
    await readTarget(this.#target, actual, offset)
    const found = findDifference(actual, expected)
    if (found === undefined) return
    const source = image ?? { length: 0, read: async () => new Uint8Array() }
    throw new PatchDamage(await describeDifference(actual, expected, offset, found, source))
  }
}
