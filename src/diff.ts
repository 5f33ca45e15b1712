/**
 * Unified diff of two texts, for people: `plan` shows with it what `flash` will change.
 *
 * Common lines at both ends are set aside, Myers' greedy algorithm compares
 * what is between them. Its time and memory grow with the square of the lines
 * that differ, so it gives up at MOST_EDITS and shows what is left as removed
 * and added: linear for files of any length.
 *
 * Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.
 */

const CONTEXT_LINES = 3

/** Lines removed and added, beyond which nobody reads them as edits. */
const MOST_EDITS = 256

/** Whether two lines are the same; a test counts how often it is asked. */
type SameLine = (one: string | undefined, other: string | undefined) => boolean

interface Line {
  sign: ' ' | '-' | '+'
  text: string
}

/** @returns hunks with `@@` lines, without file names; '' when the texts are equal */
export function formatDiff(
  before: string,
  after: string,
  isSame: SameLine = (one, other) => one === other,
): string {
  if (before === after) return ''
  const lines = compareLines(splitLines(before), splitLines(after), isSame)
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

const signed = (sign: Line['sign'], texts: readonly string[]): Line[] => texts.map((text) => ({ sign, text }))

function compareLines(before: readonly string[], after: readonly string[], isSame: SameLine): Line[] {
  const shorter = Math.min(before.length, after.length)
  let head = 0
  while (head < shorter && isSame(before[head], after[head])) head += 1
  let tail = 0
  while (tail < shorter - head && isSame(before.at(-1 - tail), after.at(-1 - tail))) tail += 1
  const olds = before.slice(head, before.length - tail)
  const news = after.slice(head, after.length - tail)
  const middle = olds.length === 0 || news.length === 0 ? undefined : findEdits(olds, news, isSame)
  return [
    ...signed(' ', before.slice(0, head)),
    ...(middle ?? [...signed('-', olds), ...signed('+', news)]),
    ...signed(' ', before.slice(before.length - tail)),
  ]
}

/** How far into `before` the paths of one distance have come: `[k + distance]` is that on diagonal k. */
type Furthest = Int32Array

/** @returns undefined: it takes more than MOST_EDITS */
function findEdits(
  before: readonly string[],
  after: readonly string[],
  isSame: SameLine,
): Line[] | undefined {
  const history: Furthest[] = []
  for (let distance = 0; distance <= MOST_EDITS; distance += 1) {
    const furthest = new Int32Array(2 * distance + 1)
    const last = history.at(-1)
    history.push(furthest)
    for (let k = -distance; k <= distance; k += 2) {
      let x = last === undefined ? 0 : startOf(last, k, distance)
      while (x < before.length && x - k < after.length && isSame(before[x], after[x - k])) x += 1
      furthest[k + distance] = x
      if (x >= before.length && x - k >= after.length) return walkBack(before, after, history)
    }
  }
  return undefined
}

const at = (furthest: Furthest, k: number, distance: number): number => furthest[k + distance] ?? 0

/** Whether the path to diagonal k comes from the one above it (an inserted line). @param last of distance - 1 */
const isDown = (last: Furthest, k: number, distance: number): boolean =>
  k === -distance || (k !== distance && at(last, k - 1, distance - 1) < at(last, k + 1, distance - 1))

const startOf = (last: Furthest, k: number, distance: number): number =>
  isDown(last, k, distance) ? at(last, k + 1, distance - 1) : at(last, k - 1, distance - 1) + 1

function walkBack(before: readonly string[], after: readonly string[], history: readonly Furthest[]): Line[] {
  const lines: Line[] = []
  let x = before.length
  let y = after.length
  for (let distance = history.length - 1; distance >= 0; distance -= 1) {
    const last = history[distance - 1]
    const k = x - y
    const isAdded = last !== undefined && isDown(last, k, distance)
    const from = isAdded ? k + 1 : k - 1
    const fromX = last === undefined ? 0 : at(last, from, distance - 1)
    const fromY = last === undefined ? 0 : fromX - from
    while (x > fromX && y > fromY) {
      x -= 1
      y -= 1
      lines.push({ sign: ' ', text: before[x] ?? '' })
    }
    if (last === undefined) break
    if (isAdded) {
      y -= 1
      lines.push({ sign: '+', text: after[y] ?? '' })
    } else {
      x -= 1
      lines.push({ sign: '-', text: before[x] ?? '' })
    }
  }
  return lines.reverse()
}
