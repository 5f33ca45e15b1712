/**
 * Compare what a target holds with what it should hold, and set right what a
 * card got wrong once.
 *
 * A range that reads back wrong is written again and read again, a few times;
 * a card that keeps getting it wrong is given up. One that is smaller than it
 * claims is given up at once: writing there again would destroy what it
 * already holds elsewhere. Because that can go unseen, a card on which
 * anything was set right is read back once more as a whole.
 */
import { type BlockReader, type Range, readInto } from '../disk/blocks.ts'
import { inParallel, orAborted } from './concurrency.ts'
import { type Difference, describeDifference, findDifference } from './difference.ts'
import type { Target } from './target.ts'
import { flushTarget, readTarget, writeTarget } from './target-fault.ts'

/** More bad places than this, and the card is worn out or a fake. */
const MOST_REPAIRS = 8

/**
 * `length` bytes of the image from `offset`; zeroes after its end (the last
 * request is rounded up to a whole sector or block).
 * @param into is filled and returned; after an abort it may still be written to
 */
export async function readImage(
  image: BlockReader,
  { offset, length }: Range,
  into: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  const inside = bytesInside(image, { offset, length })
  const bytes = into.subarray(0, length)
  if (inside > 0) await orAborted(readInto(image, bytes.subarray(0, inside), offset), signal)
  bytes.fill(0, inside)
  return bytes
}

export interface ReadBack {
  target: Target
  image: BlockReader
  requests: readonly Range[]
  /** Page-aligned, one per request in flight; each holds what is there in one half, what should be in the other. */
  buffers: readonly Buffer[]
  /** How often a bad range is written again before the card is given up. */
  retries: number
  signal: AbortSignal
  /** Called after each piece that was as it should be. */
  onEqual: (bytes: number) => void
}

export interface ReadBackResult {
  /** The first difference that stayed; undefined where all is well. */
  damage: Difference | undefined
  /** The first of what was wrong, by piece, and is right now. */
  repaired: Range[]
}

/**
 * Read every request back and compare it with the image.
 * @throws whatever reading the target or the image throws
 */
export async function readBack(job: ReadBack): Promise<ReadBackResult> {
  const first = await comparePieces(job)
  if (first.damage !== undefined || first.repaired.length === 0) return first
  const again = await comparePieces({ ...job, retries: 0, onEqual: () => {} })
  return { damage: again.damage, repaired: first.repaired }
}

async function comparePieces(job: ReadBack): Promise<ReadBackResult> {
  const { target, image, requests, buffers, signal } = job
  const result: ReadBackResult = { damage: undefined, repaired: [] }
  await inParallel(buffers.length, pieces(requests, halfOf(buffers)), async (piece, worker) => {
    if (result.damage !== undefined) return
    signal.throwIfAborted()
    const [actual, expected] = halves(workerBuffer(buffers, worker), piece.length)
    await readTarget(target, actual, piece.offset)
    await readImage(image, piece, expected, signal)
    const inside = bytesInside(image, piece)
    const difference = () => findDifference(actual.subarray(0, inside), expected.subarray(0, inside))
    let wrong: Range | undefined
    for (let tries = 0; ; tries += 1) {
      const found = difference()
      if (found === undefined) {
        if (wrong !== undefined) result.repaired.push(wrong)
        job.onEqual(piece.length)
        return
      }
      const damage = await describeDifference(actual, expected, piece.offset, found, image)
      if (tries === job.retries || damage.isWrap || result.repaired.length >= MOST_REPAIRS) {
        result.damage ??= damage
        return
      }
      wrong ??= { offset: damage.offset, length: damage.length }
      signal.throwIfAborted()
      await writeTarget(target, expected, piece.offset)
      await flushTarget(target)
      await readTarget(target, actual, piece.offset)
    }
  })
  return result
}

/**
 * Which blocks of `requests` a target does not hold as they should be.
 * @param onRead called with the bytes of each piece
 * @returns ranges of whole blocks, in order
 */
export async function listChanged(
  job: Omit<ReadBack, 'requests' | 'retries' | 'onEqual'> & {
    requests: Iterable<Range> | AsyncIterable<Range>
    blockBytes: number
    onRead: (bytes: number) => void
  },
): Promise<Range[]> {
  const { target, image, requests, buffers, blockBytes, signal } = job
  const changed: Range[] = []
  await inParallel(buffers.length, pieces(requests, halfOf(buffers)), async (piece, worker) => {
    signal.throwIfAborted()
    const [actual, expected] = halves(workerBuffer(buffers, worker), piece.length)
    await readTarget(target, actual, piece.offset)
    await readImage(image, piece, expected, signal)
    job.onRead(piece.length)
    if (actual.equals(expected)) return
    for (let at = 0; at < piece.length; at += blockBytes) {
      const end = Math.min(piece.length, at + blockBytes)
      if (actual.compare(expected, at, end, at, end) === 0) continue
      const last = changed.at(-1)
      if (last !== undefined && last.offset + last.length === piece.offset + at) last.length += end - at
      else changed.push({ offset: piece.offset + at, length: end - at })
    }
  })
  return changed.sort((a, b) => a.offset - b.offset)
}

async function* pieces(
  requests: Iterable<Range> | AsyncIterable<Range>,
  mostBytes: number,
): AsyncGenerator<Range> {
  for await (const { offset, length } of requests)
    for (let at = 0; at < length; at += mostBytes)
      yield { offset: offset + at, length: Math.min(mostBytes, length - at) }
}

const halfOf = (buffers: readonly Buffer[]): number => Math.floor(workerBuffer(buffers, 0).length / 2)

function halves(buffer: Buffer, length: number): [Buffer, Buffer] {
  const half = Math.floor(buffer.length / 2)
  return [buffer.subarray(0, length), buffer.subarray(half, half + length)]
}

/** How much of a request the image has; the rest is rounding. */
const bytesInside = (image: BlockReader, { offset, length }: Range): number =>
  Math.max(0, Math.min(length, image.length - offset))

export function workerBuffer(buffers: readonly Buffer[], worker: number): Buffer {
  const buffer = buffers[worker]
  if (buffer === undefined) throw new Error(`there is no buffer for worker ${worker}`)
  return buffer
}
