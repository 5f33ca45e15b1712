/** Which branches of the product ran for the first time, from the counters that coverage-loader.ts puts into it. */

interface FileCounters {
  /** Times each function ran. */
  f: Record<string, number>
  /** Times each way of each branch was taken. */
  b: Record<string, number[]>
}

declare global {
  var __coverage__: Record<string, FileCounters> | undefined
}

interface Unseen {
  counts: Record<string, number> | number[]
  key: number
}

export class Coverage {
  #files = 0
  #unseen: Unseen[] = []
  /** Branches and functions that have run at least once. */
  seen = 0

  /** Whether something ran that had not, since the last call. */
  hasNew(): boolean {
    this.#addFiles()
    const before = this.#unseen.length
    this.#unseen = this.#unseen.filter(({ counts, key }) => (counts as number[])[key] === 0)
    const found = before - this.#unseen.length
    this.seen += found
    return found > 0
  }

  /** Modules are loaded when they are first needed. */
  #addFiles(): void {
    const files = Object.values(globalThis.__coverage__ ?? {})
    for (const { f, b } of files.slice(this.#files)) {
      for (const key of Object.keys(f)) this.#unseen.push({ counts: f, key: Number(key) })
      for (const counts of Object.values(b))
        for (const key of counts.keys()) this.#unseen.push({ counts, key })
    }
    this.#files = files.length
  }
}
