/** How far something has come that only moves on, and who waits for it to come further. */

interface Waiting {
  until: number
  ready: () => void
  failed: (error: unknown) => void
}

export class Mark {
  #at = 0
  #waiting: Waiting[] = []
  #failure: { error: unknown } | undefined

  get at(): number {
    return this.#at
  }

  /** It may also go back: then who comes later waits. */
  move(to: number): void {
    this.#at = to
    const reached = this.#waiting.filter(({ until }) => until <= to)
    if (reached.length === 0) return
    this.#waiting = this.#waiting.filter(({ until }) => until > to)
    for (const { ready } of reached) ready()
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
