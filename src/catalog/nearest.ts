/** What a mistyped name probably meant. */

/** How many characters must be added, dropped or replaced to make `b` of `a` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const line = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      line.push(Math.min(replaced, (above[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1))
    }
    above = line
  }
  return above[b.length] ?? 0
}

/**
 * At most `count` of `names`, nearest first; of equally near ones the later in the alphabet, which is the newer version.
 * A name that starts with all of `wanted` counts as near: its version was left out.
 * @returns none when all of them are something else altogether
 */
export function nearestNames(wanted: string, names: Iterable<string>, count = 3): string[] {
  const short = wanted.slice(0, 200)
  const limit = Math.max(3, Math.floor(short.length / 3))
  return [...names]
    .map((name) => ({ name, distance: name.startsWith(short) ? 0 : editDistance(short, name) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? 1 : -1))
    .slice(0, count)
    .map(({ name }) => name)
}
