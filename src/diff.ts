/**
 * Unified diff of two texts, for people: `plan` shows with it what `flash` will change.
 *
 * Myers' greedy algorithm over lines; boot files are small, so the table of
 * furthest points is kept whole.
 *
 * Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.
 */

const CONTEXT_LINES = 3

interface Line {
  sign: ' ' | '-' | '+'
  text: string
}

/** @returns hunks with `@@` lines, without file names; '' when the texts are equal */
export function formatDiff(before: string, after: string): string {
  const lines = compareLines(splitLines(before), splitLines(after))
  const shown = lines.map((_, index) =>
    lines
      .slice(Math.max(0, index - CONTEXT_LINES), index + CONTEXT_LINES + 1)
      .some(({ sign }) => sign !== ' '),
  )
  const output: string[] = []
  let oldLine = 1
  let newLine = 1
  for (let index = 0; index < lines.length; ) {
    if (!shown[index]) {
      oldLine += 1
      newLine += 1
      index += 1
      continue
    }
    let end = index
    while (shown[end]) end += 1
    const hunk = lines.slice(index, end)
    const olds = hunk.filter(({ sign }) => sign !== '+').length
    const news = hunk.filter(({ sign }) => sign !== '-').length
    output.push(
      `@@ -${olds === 0 ? oldLine - 1 : oldLine},${olds} +${news === 0 ? newLine - 1 : newLine},${news} @@`,
    )
    output.push(...hunk.map(({ sign, text }) => sign + text))
    oldLine += olds
    newLine += news
    index = end
  }
  return output.map((line) => `${line}\n`).join('')
}

/** A text without a final line end says so, as diff(1) does. */
function splitLines(text: string): string[] {
  if (text === '') return []
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  else lines.push('\\ No newline at end of file')
  return lines
}

function compareLines(before: readonly string[], after: readonly string[]): Line[] {
  // furthest[k]: how far into `before` a path on diagonal k has come.
  const history: Map<number, number>[] = []
  let furthest = new Map([[1, 0]])
  for (let distance = 0; ; distance += 1) {
    history.push(new Map(furthest))
    for (let k = -distance; k <= distance; k += 2) {
      let x = isDown(furthest, k, distance) ? (furthest.get(k + 1) ?? 0) : (furthest.get(k - 1) ?? 0) + 1
      while (x < before.length && x - k < after.length && before[x] === after[x - k]) x += 1
      furthest.set(k, x)
      if (x >= before.length && x - k >= after.length) return walkBack(before, after, history)
    }
    furthest = new Map(furthest)
  }
}

/** Whether the path to diagonal k comes from the one above it (an inserted line). */
const isDown = (furthest: ReadonlyMap<number, number>, k: number, distance: number): boolean =>
  k === -distance || (k !== distance && (furthest.get(k - 1) ?? 0) < (furthest.get(k + 1) ?? 0))

function walkBack(
  before: readonly string[],
  after: readonly string[],
  history: readonly Map<number, number>[],
): Line[] {
  const lines: Line[] = []
  let x = before.length
  let y = after.length
  for (let distance = history.length - 1; distance >= 0; distance -= 1) {
    const furthest = history[distance] ?? new Map()
    const k = x - y
    const from = isDown(furthest, k, distance) ? k + 1 : k - 1
    const fromX = distance === 0 ? 0 : (furthest.get(from) ?? 0)
    const fromY = distance === 0 ? 0 : fromX - from
    while (x > fromX && y > fromY) {
      x -= 1
      y -= 1
      lines.push({ sign: ' ', text: before[x] ?? '' })
    }
    if (distance === 0) break
    if (from === k + 1) {
      y -= 1
      lines.push({ sign: '+', text: after[y] ?? '' })
    } else {
      x -= 1
      lines.push({ sign: '-', text: before[x] ?? '' })
    }
  }
  return lines.reverse()
}
