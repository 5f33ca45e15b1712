/** Compare a card with what it should hold, and go on after the first difference: for people who want to see all of it. */
import type { BlockReader, Range } from '../disk/blocks.ts'
import type { Task } from '../progress.ts'
import { findDifference } from './difference.ts'
import { planRequests } from './requests.ts'

/** A card that is another node's, or was booted, differs in many places: these are enough to see that. */
export const MOST_DIFFERENCES = 1000

/**
 * @param ranges of `image`; nothing else is compared
 * @returns the runs of differing bytes, in order; none when all is equal
 * @throws {FormatError} the card is shorter than a range
 */
export async function listDifferences(
  card: BlockReader,
  image: BlockReader,
  ranges: readonly Range[],
  subject: string,
  task: Task,
): Promise<Range[]> {
  const requests = planRequests(ranges, { begin: 0, end: image.length })
  const totalBytes = requests.reduce((sum, request) => sum + request.length, 0)
  const differences: Range[] = []
  let bytes = 0
  for (const { offset, length: planned } of requests) {
    task.signal.throwIfAborted()
    const length = Math.min(planned, image.length - offset)
    const actual = await card.read(offset, length)
    const expected = await image.read(offset, length)
    for (let at = 0; at < length && differences.length < MOST_DIFFERENCES; ) {
      const found = findDifference(actual.subarray(at), expected.subarray(at))
      if (found === undefined) break
      differences.push({ offset: offset + at + found.offset, length: found.length })
      at += found.offset + found.length
    }
    bytes += planned
    task.report({ phase: 'verify', subject, bytes, totalBytes })
  }
  return differences
}
