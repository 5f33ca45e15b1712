/** Compare what a target holds with what it should hold. */
import type { BlockReader, Range } from '../disk/blocks.ts'
import { type Difference, describeDifference, findDifference } from './difference.ts'
import { inLanes, orAborted } from './lanes.ts'
import type { Target } from './target.ts'
import { readTarget } from './target-fault.ts'

/**
 * `length` bytes of the image from `offset`; zeroes after its end (the last
 * request is rounded up to a whole sector or block).
 * @param into is filled and returned
 */
export async function readImage(
  image: BlockReader,
  { offset, length }: Range,
  into: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  const inside = bytesInside(image, { offset, length })
  const bytes = into.subarray(0, length)
  if (inside > 0) bytes.set(await orAborted(image.read(offset, inside), signal))
  bytes.fill(0, inside)
  return bytes
}

export interface ReadBack {
  target: Target
  image: BlockReader
  requests: readonly Range[]
  /** Page-aligned, one per request in flight. */
  buffers: readonly Buffer[]
  signal: AbortSignal
  /** Called after each request that was as it should be. */
  onEqual: (bytes: number) => void
}

/**
 * Read every request back and compare it with the image.
 * @returns the first difference found, or undefined where all is well
 * @throws whatever reading the target or the image throws
 */
export async function findDamage(job: ReadBack): Promise<Difference | undefined> {
  const { target, image, requests, buffers, signal } = job
  let damage: Difference | undefined
  await inLanes(buffers.length, requests, async (request, lane) => {
    if (damage !== undefined) return
    signal.throwIfAborted()
    const actual = laneBuffer(buffers, lane).subarray(0, request.length)
    await readTarget(target, actual, request.offset)
    const inside = bytesInside(image, request)
    if (inside === 0) return
    const expected = await orAborted(image.read(request.offset, inside), signal)
    const found = findDifference(actual.subarray(0, inside), expected)
    if (found === undefined) job.onEqual(request.length)
    else damage ??= await describeDifference(actual, expected, request.offset, found, image)
  })
  return damage
}

/** How much of a request the image has; the rest is rounding. */
const bytesInside = (image: BlockReader, { offset, length }: Range): number =>
  Math.max(0, Math.min(length, image.length - offset))

export function laneBuffer(buffers: readonly Buffer[], lane: number): Buffer {
  const buffer = buffers[lane]
  if (buffer === undefined) throw new Error(`lane ${lane} has no buffer`)
  return buffer
}
