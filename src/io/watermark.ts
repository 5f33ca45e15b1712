/** How far something that grows from its start has come, and who waits for it to come further. */

interface Waiting {
  until: number
  ready: () => void
  failed: (error: unknown) => void
}

export class Watermark {
  #at = 0
  #waiting: Waiting[] = []
  #failure: { error: unknown } | undefined

  get at(): number {
    return this.#at
  }

  /** It only rises; a lower one is no news. */
  raise(to: number): void {
    if (to <= this.#at) return
    this.#at = to
    const reached = this.#waiting.filter(({ until }) => until <= to)
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter(({ until }) => until > to)
    for (const { ready } of reached) ready()
  }

  /** What was there is gone, and comes again from its start: who asks from now on waits for that. */
  restart(): void {
    this.#at = 0
  }

  /** It will never come further, and what is there is of no use either. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    for (const { failed } of this.#waiting.splice(0)) failed(error)
  }

  /** @throws what `fail` was told */
  async reach(until: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error
    if (until <= this.#at) return
    await new Promise<void>((ready, failed) => {
      this.#waiting.push({ until, ready, failed })
    })
  }
}
