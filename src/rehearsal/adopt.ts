/**
 * Writes a board's addresses into the cluster file, and nothing else: comments,
 * order and the way everything is written stay as they are.
 *
 * The YAML library finds the place; the text is changed there, never printed
 * anew.
 */
import { DEFAULT_MODEL } from '../cluster/boards.ts'
import { UsageError } from '../errors.ts'

export interface Adopted {
  /** Lower case, with colons. */
  mac: string
  /** 8 lower-case hex digits. */
  serial: string
}

/** A piece of text in place of `[start, end)`. */
interface Splice {
  start: number
  end: number
  text: string
}

/**
 * @param file for messages
 * @returns the text with `mac` and `serial` of the node
 * @throws {UsageError} the node isn't in the file, or is written in a way that can't be edited here
 */
export async function adoptInto(text: string, file: string, node: string, board: Adopted): Promise<string> {
  const { isAlias, isMap, isScalar, parseDocument } = await import('yaml')
  const document = parseDocument(text, { uniqueKeys: false })
  if (document.errors.length > 0)
    throw new UsageError(`${file} can’t be read as YAML`, { hint: 'piimage plan says what is wrong in it.' })
  const nodes = document.get('nodes', true)
  const pair = isMap(nodes)
    ? nodes.items.find(({ key }) => isScalar(key) && String(key.value) === node)
    : undefined
  if (pair === undefined)
    throw new UsageError(`there is no node ${node} in ${file}`, {
      hint: 'Add it there first, with its model.',
    })
  const value = pair.value
  const entries = Object.entries({ mac: board.mac, serial: board.serial })
  if (isAlias(value) || (!isMap(value) && !(isScalar(value) && value.value === null)))
    throw new UsageError(
      `${file}: ${node} is not a mapping of its own, so it can’t be given a serial number`,
      {
        hint: `Write it out: ${node}: { model: ${DEFAULT_MODEL}, mac: "${board.mac}", serial: "${board.serial}" }`,
      },
    )
  const splices: Splice[] = []
  if (!isMap(value)) {
    const at = (pair.key as { range?: [number, number, number] }).range?.[1] ?? 0
    const colon = text.indexOf(':', at) + 1
    splices.push({ start: colon, end: colon, text: ` { ${inFlow(entries)} }` })
    return splice(text, splices)
  }
  const missing: [string, string][] = []
  for (const [key, wanted] of entries) {
    const there = value.items.find((item) => isScalar(item.key) && item.key.value === key)
    const range = isScalar(there?.value) ? there.value.range : undefined
    if (there === undefined) missing.push([key, wanted])
    else if (range === undefined || range === null)
      throw new UsageError(`${file}: ${key} of ${node} is not a plain value`, {
        hint: `Write ${key}: "${wanted}".`,
      })
    else splices.push({ start: range[0], end: range[1], text: `"${wanted}"` })
  }
  const [start, end] = value.range as [number, number, number]
  if (missing.length > 0) {
    if (value.flow) splices.push(intoFlow(text, start, end, value.items.length > 0, missing))
    else splices.push(intoBlock(text, start, firstOf(value.items), missing))
  }
  return splice(text, splices)
}

const inFlow = (entries: readonly [string, string][]): string =>
  entries.map(([key, value]) => `${key}: "${value}"`).join(', ')

/** Before the closing brace, and the blank before that. */
function intoFlow(
  text: string,
  start: number,
  end: number,
  filled: boolean,
  entries: readonly [string, string][],
): Splice {
  const inside = text.slice(start + 1, end - 1)
  if (!filled) return { start: start + 1, end: end - 1, text: ` ${inFlow(entries)} ` }
  const used = inside.trimEnd()
  const comma = used.endsWith(',') ? ' ' : ', '
  const at = start + 1 + used.length
  return { start: at, end: at, text: comma + inFlow(entries) }
}

/** Before the first key of the map, on lines of its own: what follows the last one may be a comment of somebody else's. */
function intoBlock(text: string, start: number, first: number, entries: readonly [string, string][]): Splice {
  const at = Math.max(start, first)
  const lineStart = text.lastIndexOf('\n', at - 1) + 1
  const indent = text.slice(lineStart, at)
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  return {
    start: at,
    end: at,
    text: entries.map(([key, value]) => `${key}: "${value}"${eol}${indent}`).join(''),
  }
}

const firstOf = (items: readonly { key: unknown }[]): number =>
  (items[0]?.key as { range?: [number, number, number] } | undefined)?.range?.[0] ?? 0

/** Applied from the end, so that places stay where they were. */
function splice(text: string, splices: readonly Splice[]): string {
  return splices
    .toSorted((a, b) => b.start - a.start)
    .reduce((result, { start, end, text: piece }) => result.slice(0, start) + piece + result.slice(end), text)
}
