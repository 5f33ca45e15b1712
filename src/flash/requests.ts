/**
 * From ranges of an image to requests a drive likes: aligned, merged, large.
 *
 * Cards are as fast as they get from about 512 KiB per request on, and very
 * slow below 64 KiB; two small requests cost more than one that also carries
 * the free space between them. So gaps under 256 KiB are written too (with the
 * image's own bytes), and requests are cut at multiples of 4 MiB, which are
 * also where a card's erase blocks begin.
 */
import type { Range } from '../disk/blocks.ts'
import { alignDown, alignUp, KiB, MiB } from '../units.ts'
import { ALIGN_BYTES } from './target.ts'

export const REQUEST_BYTES = 4 * MiB
const GAP_BYTES = 256 * KiB

/** Where requests may lie. */
export interface RequestBounds {
  /** Where the first may start (what lies before is written last, by itself). */
  begin: number
  /** Where the last must end: the image's end, rounded up to what the target takes. */
  end: number
  /** The most bytes of one request: a power of two. Default 4 MiB. */
  mostBytes?: number
}

/**
 * @param ranges what must be written; unsorted, unaligned, overlapping as they come
 * @returns in order; offsets and lengths are multiples of 4 KiB, save for the one that ends at `end`
 */
export function planRequests(ranges: readonly Range[], bounds: RequestBounds): Range[] {
  const planner = new RequestPlanner(bounds)
  const sorted = [...ranges].sort((a, b) => a.offset - b.offset)
  return [...sorted.flatMap((range) => [...planner.add(range)]), ...planner.finish()]
}

/** The same for ranges that come in order, one by one: a request is given out as soon as no later range can change it. */
export async function* streamRequests(
  ranges: AsyncIterable<Range>,
  bounds: RequestBounds,
): AsyncGenerator<Range> {
  const planner = new RequestPlanner(bounds)
  for await (const range of ranges) yield* planner.add(range)
  yield* planner.finish()
}

class RequestPlanner {
  readonly #begin: number
  readonly #end: number
  readonly #mostBytes: number
  /** The run that may still become longer; what of it was given out is gone from its start. */
  #from = 0
  #to = 0

  constructor({ begin, end, mostBytes = REQUEST_BYTES }: RequestBounds) {
    this.#begin = begin
    this.#end = end
    this.#mostBytes = mostBytes
  }

  *add({ offset, length }: Range): Generator<Range> {
    if (length <= 0) return
    const from = Math.max(this.#begin, alignDown(offset, ALIGN_BYTES))
    const to = Math.min(this.#end, alignUp(offset + length, ALIGN_BYTES))
    if (from >= to) return
    if (this.#to === 0) this.#from = from
    else if (from >= this.#to + GAP_BYTES) {
      yield* this.finish()
      this.#from = from
    }
    this.#to = Math.max(this.#to, to)
    for (let next = this.#cut(); next <= this.#to; next = this.#cut()) yield this.#take(next)
  }

  *finish(): Generator<Range> {
    while (this.#from < this.#to) yield this.#take(Math.min(this.#to, this.#cut()))
    this.#to = 0
  }

  /** The next place after the run's start where requests are cut. */
  #cut(): number {
    return alignDown(this.#from, this.#mostBytes) + this.#mostBytes
  }

  #take(next: number): Range {
    const request = { offset: this.#from, length: next - this.#from }
    this.#from = next
    return request
  }
}
