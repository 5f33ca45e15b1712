/**
 * Which clusters are free: one bit each, and where a file goes.
 *
 * A file is laid where it fits in one piece, at the lowest such place; only when
 * there is none are the lowest free clusters taken one by one. So the same calls
 * on the same volume always give the same clusters.
 */
export class FreeMap {
  /** How many clusters are free. */
  count = 0
  /** The cluster given out last; 0 before the first. */
  lastTaken = 0
  /** How many the table calls free and files lay claim to. */
  kept = 0
  /** One past the highest cluster number. */
  readonly #end: number
  /** A set bit is a cluster in use. Numbers are below 2^28, so bit operators are safe on them. */
  readonly #used: Uint32Array
  /** No cluster below this one is free. */
  #lowest: number

  /** Starts with every cluster in use. */
  constructor(clusterCount: number) {
    this.#end = clusterCount + 2
    this.#used = new Uint32Array(Math.ceil(this.#end / 32)).fill(0xffffffff)
    this.#lowest = this.#end
  }

  isFree(cluster: number): boolean {
    return cluster < this.#end && ((this.#used[cluster >>> 5] as number) & (1 << (cluster & 31))) === 0
  }

  release(cluster: number): void {
    if (this.isFree(cluster)) return
    this.#used[cluster >>> 5] = (this.#used[cluster >>> 5] as number) & ~(1 << (cluster & 31))
    this.count += 1
    if (cluster < this.#lowest) this.#lowest = cluster
  }

  /** Not to be given out, although the table calls it free. */
  keep(cluster: number): void {
    if (!this.isFree(cluster)) return
    this.#take(cluster)
    this.kept += 1
  }

  /**
   * Take `count` clusters, in ascending order.
   * @throws {Error} fewer are free: compare with `count` before
   */
  take(count: number): number[] {
    if (count === 0) return []
    if (count > this.count) throw new Error(`${count} clusters wanted, ${this.count} are free`)
    const start = this.#findRun(count)
    if (start !== undefined) return this.#takeRun(start, count)
    const taken: number[] = []
    for (let cluster = this.#lowest; taken.length < count; cluster += 1) {
      if (this.isFree(cluster)) taken.push(cluster)
    }
    for (const cluster of taken) this.#give(cluster)
    return taken
  }

  /** Take the `count` clusters from `start`, or undefined when not all of them are free. */
  takeAt(start: number, count: number): number[] | undefined {
    for (let i = 0; i < count; i += 1) if (!this.isFree(start + i)) return undefined
    return this.#takeRun(start, count)
  }

  /** Take the lowest `count` free clusters in a row, or undefined when there is no such row. */
  takeRun(count: number): number[] | undefined {
    const start = this.#findRun(count)
    return start === undefined ? undefined : this.#takeRun(start, count)
  }

  /** Runs of clusters in use, as first cluster and count. */
  *usedRuns(): Iterable<{ first: number; count: number }> {
    let first: number | undefined
    for (let cluster = 2; cluster <= this.#end; cluster += 1) {
      if (cluster < this.#end && !this.isFree(cluster)) {
        first ??= cluster
      } else if (first !== undefined) {
        yield { first, count: cluster - first }
        first = undefined
      }
    }
  }

  #findRun(count: number): number | undefined {
    let length = 0
    for (let cluster = this.#lowest; cluster < this.#end; cluster += 1) {
      if ((cluster & 31) === 0 && this.#used[cluster >>> 5] === 0xffffffff) {
        cluster += 31
        length = 0
      } else if (this.isFree(cluster)) {
        length += 1
        if (length === count) return cluster - count + 1
      } else {
        length = 0
      }
    }
    return undefined
  }

  #takeRun(start: number, count: number): number[] {
    const taken = Array.from({ length: count }, (_, i) => start + i)
    for (const cluster of taken) this.#give(cluster)
    return taken
  }

  #give(cluster: number): void {
    this.#take(cluster)
    this.lastTaken = cluster
  }

  #take(cluster: number): void {
    this.#used[cluster >>> 5] = (this.#used[cluster >>> 5] as number) | (1 << (cluster & 31))
    this.count -= 1
    while (this.#lowest < this.#end && !this.isFree(this.#lowest)) this.#lowest += 1
  }
}
