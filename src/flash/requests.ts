/**
 * From ranges of an image to requests a drive likes: aligned, merged, large.
 *
 * Cards are as fast as they get from about 512 KiB per request on, and very
 * slow below 64 KiB; two small requests cost more than one that also carries
 * the free space between them. So gaps under 256 KiB are written too (with the
 * image's own bytes), and requests are cut at multiples of 4 MiB, which are
 * also where a card's erase blocks begin.
 */
import { mergeRanges, type Range } from '../disk/blocks.ts'
import { alignDown, alignUp, KiB, MiB } from '../units.ts'
import { ALIGN_BYTES } from './target.ts'

export const REQUEST_BYTES = 4 * MiB
const GAP_BYTES = 256 * KiB

/**
 * @param ranges what must be written; unsorted, unaligned, overlapping as they come
 * @param begin where the first request may start (what lies before is written last, by itself)
 * @param end where the last one must end: the image's end, rounded up to what the target takes
 * @returns in order; offsets and lengths are multiples of 4 KiB, save for the one that ends at `end`
 */
export function planRequests(ranges: readonly Range[], begin: number, end: number): Range[] {
  const aligned = ranges
    .filter((range) => range.length > 0)
    .map(({ offset, length }) => {
      const from = Math.max(begin, alignDown(offset, ALIGN_BYTES))
      const to = Math.min(end, alignUp(offset + length, ALIGN_BYTES))
      return { offset: from, length: Math.max(0, to - from) }
    })
  return mergeRanges(aligned, GAP_BYTES - 1).flatMap(cutAtRequests)
}

function cutAtRequests({ offset, length }: Range): Range[] {
  const requests: Range[] = []
  const end = offset + length
  for (let at = offset; at < end; ) {
    const next = Math.min(end, alignDown(at, REQUEST_BYTES) + REQUEST_BYTES)
    requests.push({ offset: at, length: next - at })
    at = next
  }
  return requests
}
