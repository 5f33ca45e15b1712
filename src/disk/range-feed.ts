/**
 * Ranges that one walk finds once, for any number of followers: each card reads
 * them from the start, at its own pace, and waits where the walk has not come yet.
 */
import type { Range } from './blocks.ts'

export class RangeFeed implements AsyncIterable<Range> {
  readonly #ranges: Range[] = []
  #state: 'walking' | 'done' | { error: unknown } = 'walking'
  #moved: Promise<void>
  #move: () => void = () => {}

  /** @param walk ranges in order; is walked at once, to its end */
  constructor(walk: AsyncIterable<Range>) {
    this.#moved = this.#nextMove()
    void this.#walk(walk)
  }

  /** All ranges, once the walk has ended well. */
  get known(): readonly Range[] | undefined {
    return this.#state === 'done' ? this.#ranges : undefined
  }

  /** All ranges. @throws what the walk threw */
  async all(): Promise<readonly Range[]> {
    while (this.#state === 'walking') await this.#moved
    if (this.#state !== 'done') throw this.#state.error
    return this.#ranges
  }

  /** @throws what the walk threw, after the ranges that came before */
  async *[Symbol.asyncIterator](): AsyncGenerator<Range> {
    for (let next = 0; ; ) {
      for (let range = this.#ranges[next]; range !== undefined; range = this.#ranges[next]) {
        next += 1
        yield range
      }
      if (this.#state === 'done') return
      if (this.#state !== 'walking') throw this.#state.error
      await this.#moved
    }
  }

  async #walk(walk: AsyncIterable<Range>): Promise<void> {
    try {
      for await (const range of walk) {
        this.#ranges.push(range)
        this.#wake()
      }
      this.#state = 'done'
    } catch (error) {
      this.#state = { error }
    }
    this.#wake()
  }

  #wake(): void {
    const move = this.#move
    this.#moved = this.#nextMove()
    move()
  }

  #nextMove(): Promise<void> {
    return new Promise((resolve) => {
      this.#move = resolve
    })
  }
}

/** The ranges of `feed` with `others` put in where they belong: both in order, so is the result. */
export function withRanges(
  feed: RangeFeed,
  others: readonly Range[],
): AsyncIterable<Range> & { readonly known: readonly Range[] | undefined } {
  return {
    get known() {
      return feed.known === undefined ? undefined : [...feed.known, ...others]
    },
    async *[Symbol.asyncIterator]() {
      let next = 0
      const before = function* (offset: number) {
        for (let range = others[next]; range !== undefined && range.offset < offset; range = others[next]) {
          next += 1
          yield range
        }
      }
      for await (const range of feed) {
        yield* before(range.offset)
        yield range
      }
      yield* before(Number.POSITIVE_INFINITY)
    },
  }
}
