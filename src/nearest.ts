/** "Did you mean": the known words nearest to what was written. */

/** Letters inserted, dropped, replaced or swapped with their neighbour, to get from one word to the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** A cluster file and a lock of somebody else's may have thousands of names each; the first so many are looked at. */
const MOST_NAMES = 500

function* firstOf(names: Iterable<string>): Generator<string> {
  let count = 0
  for (const name of names) {
    if (count === MOST_NAMES) return
    count += 1
    yield name
  }
}

/**
 * The best known word for what was written, if one is near enough: a third of
 * its letters may differ, and what was written may be the start of it.
 * Upper and lower case count as the same.
 */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  if (written.length > 100) return undefined
  const word = written.toLowerCase()
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of firstOf(known)) {
    const other = candidate.toLowerCase()
    const allowed = Math.max(1, Math.floor(Math.max(word.length, other.length) / 3))
    const edits = editDistance(word, other)
    let distance = edits <= allowed ? edits : Number.POSITIVE_INFINITY
    if (word.length >= 3 && other.startsWith(word)) distance = Math.min(distance, 0.5)
    if (other.length >= 3 && word.startsWith(other)) distance = Math.min(distance, 1.5)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** A hint: the nearest word, or all of them when they are few. */
export function suggest(written: string, known: readonly string[], what: string): string {
  const near = nearest(written, known)
  if (near !== undefined) return `did you mean ${near}?`
  if (known.length === 0) return `there is no ${what} yet`
  if (known.length <= 24) return `${what}: ${known.join(', ')}`
  return `there are ${known.length} to choose from`
}

/**
 * At most `count` of `names`, nearest first; of equally near ones the later in the alphabet, which is the newer version.
 * A name that starts with all of `wanted` counts as near: its version was left out.
 * @returns none when all of them are something else altogether
 */
export function nearestNames(wanted: string, names: Iterable<string>, count = 3): string[] {
  const short = wanted.slice(0, 200)
  const limit = Math.max(3, Math.floor(short.length / 3))
  return [...firstOf(names)]
    .map((name) => ({ name, distance: name.startsWith(short) ? 0 : editDistance(short, name) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? 1 : -1))
    .slice(0, count)
    .map(({ name }) => name)
}
