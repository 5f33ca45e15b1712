/**
 * YAML text as plain values, with the place of each of them.
 *
 * The rest of the room works on plain maps and lists and speaks of places by
 * path (`['nodes', 'oneil', 'model']`); only this file knows the YAML library.
 * What YAML allows and a cluster file has no use for (several documents, keys
 * that are no text, tags, aliases without end) is a mistake here.
 */
import type { Document, Pair, Node as YamlNode } from 'yaml'
import type { Mistake } from '../errors.ts'
import type { Place } from './node.ts'

export type Path = readonly (string | number)[]

export interface YamlSource {
  /** Maps, lists and scalars; undefined when the text could not be read at all. */
  value: unknown
  mistakes: Mistake[]
  /**
   * Where a value stands, or its key. A path that is not in the file gives the
   * place of the nearest map above it.
   */
  placeOf: (path: Path, part?: 'key' | 'value') => Place
  /** The keys of a map, in file order (JavaScript puts whole numbers first). */
  keysAt: (path: Path) => string[]
  /** A scalar as it is written, quotes left out. */
  writtenAt: (path: Path) => string | undefined
}

/** The library's findings in our words: what is wrong (undefined: as the library says it), what would be right. */
const advice: Partial<Record<string, [problem: string | undefined, hint: string]>> = {
  TAB_AS_INDENT: ['a tab as indentation', 'indent with spaces; YAML allows no tabs'],
  MULTIPLE_DOCS: [
    'a second document begins here',
    'one cluster per file: remove the --- line and what follows',
  ],
  MULTILINE_IMPLICIT_KEY: ['this line has no colon', 'write "key: value", with a blank after the colon'],
  BLOCK_AS_IMPLICIT_KEY: ['a second "key: value" on one line', 'quote a value that holds ": "'],
  MISSING_CHAR: [undefined, 'close every quote, [ and {; write "key: value" with a blank after the colon'],
  BAD_INDENT: [undefined, 'keys of one map start in the same column; close every [ and {'],
  BAD_SCALAR_START: [undefined, 'quote a value that starts with @ or `'],
  UNEXPECTED_TOKEN: [undefined, 'quote values that hold : # { } [ ] , & * or %'],
}
const generalAdvice = 'check indentation, quotes and brackets here and on the line above'

const aliasAdvice = 'write the value out, or use groups: for what nodes share'

/** More references to one anchor than any cluster needs; "a billion laughs" needs millions. */
const maxAliasCount = 100
/** Of all anchors: the library compares each alias with all anchors and aliases before it. */
const mostAliases = 1000

/**
 * Read YAML 1.2 (core schema: `no` and `on` are text).
 * @param file its path, for places
 */
export async function parseYaml(text: string, file: string): Promise<YamlSource> {
  const { Alias, isAlias, isMap, isPair, isScalar, isSeq, parseDocument, visit } = await import('yaml')
  const { findTwins } = await import('../yaml-twins.ts')
  const body = text.startsWith('\ufeff') ? text.slice(1) : text
  const mistakes: Mistake[] = []

  // The library's own line counter loses count after some syntax errors.
  const lineStarts = [0]
  for (let end = body.indexOf('\n'); end !== -1; end = body.indexOf('\n', end + 1)) lineStarts.push(end + 1)
  // Columns are characters, not the UTF-16 units that an emoji takes two of.
  const pairEnds = [...body.matchAll(/[\u{10000}-\u{10ffff}]/gu)].map(({ index }) => index + 2)
  const at = (offset: number): Place => {
    const end = Math.min(offset, body.length)
    const line = countUpTo(lineStarts, end)
    const start = lineStarts[line - 1] ?? 0
    const column = end - start - (countUpTo(pairEnds, end) - countUpTo(pairEnds, start)) + 1
    return { file, line, column }
  }
  const report = (offset: number, message: string, hint: string): void => {
    mistakes.push({ ...at(offset), message, hint })
  }

  let document: Document.Parsed
  try {
    document = parseDocument(body, {
      prettyErrors: false,
      logLevel: 'error',
      resolveKnownTags: false,
      uniqueKeys: false,
    })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    report(0, 'maps and lists are nested too deeply to be read', generalAdvice)
    return unreadable(mistakes, at(0))
  }

  const errors = document.errors.toSorted((a, b) => a.pos[0] - b.pos[0])
  for (const { code, pos, message } of errors) {
    const [problem, hint] = advice[code] ?? [undefined, generalAdvice]
    report(pos[0], problem ?? syntaxProblem(code, message, body.charAt(pos[0])), hint)
    // What follows a syntax error is misread and only looks wrong.
    return unreadable(mistakes, at(0))
  }
  for (const warning of document.warnings)
    report(warning.pos[0], firstSentence(warning.message), 'remove the tag; a cluster file needs none')
  for (const key of findTwins(document))
    report(key.range?.[0] ?? 0, `the key ${key.source ?? key.value} is given twice`, 'remove one of the two')
  let unusable = false
  // The library looks through the whole document for each alias.
  const anchors = new Map<string, YamlNode>()
  const anchored = (_: unknown, node: YamlNode) => {
    if ('anchor' in node && node.anchor !== undefined) anchors.set(node.anchor, node)
  }
  let aliases = 0
  visit(document, {
    Map: anchored,
    Seq: anchored,
    Scalar: anchored,
    Pair(_, pair) {
      const key = pair.key
      if (isScalar(key) && typeof key.value === 'string') {
        const [, name, colon] = /^([\w+-]+)(?: +[{[]|(:)\S)/.exec(key.source ?? '') ?? []
        if (name === undefined || key.type !== 'PLAIN' || (colon !== undefined && pair.value !== null))
          return undefined
        const missing = colon === undefined ? `colon after ${name}` : `blank after ${name}:`
        report(key.range?.[0] ?? 0, `there is no ${missing}`, `write ${name}: and a blank`)
        unusable = true
        return visit.SKIP
      }
      const offset = (key as YamlNode | null)?.range?.[0] ?? 0
      if (isScalar(key) && key.value !== null)
        report(offset, `the key ${key.source} is read as a ${typeof key.value}`, `quote it: "${key.source}"`)
      else report(offset, 'a key must be text', 'a word, followed by a colon')
      unusable ||= !isScalar(key)
      return visit.SKIP
    },
    Alias(_, alias, path) {
      aliases += 1
      const target = anchors.get(alias.source)
      if (target !== undefined && !path.includes(target)) return
      unusable = true
      report(
        alias.range?.[0] ?? 0,
        target === undefined ? `there is no anchor &${alias.source} above` : `*${alias.source} holds itself`,
        aliasAdvice,
      )
    },
  })
  if (aliases > mostAliases) {
    report(0, `there are ${aliases} aliases, more than any cluster needs`, aliasAdvice)
    unusable = true
  }
  if (unusable) return unreadable(mistakes, at(0))

  let value: unknown
  try {
    value = document.toJS({ maxAliasCount })
  } catch (error) {
    if (!(error instanceof ReferenceError || error instanceof RangeError)) throw error
    report(0, 'aliases of aliases multiply beyond reason', aliasAdvice)
    return unreadable(mistakes, at(0))
  }

  /** Of each map that was asked for a place, its pairs by key. */
  const pairs = new WeakMap<object, Map<string, Pair>>()
  const pairAt = (map: unknown, key: string | number): Pair | undefined => {
    if (!isMap(map)) return undefined
    let byKey = pairs.get(map)
    if (byKey === undefined) {
      byKey = new Map()
      // Of two alike the first is meant, as the message about them says.
      for (const pair of map.items.toReversed())
        if (isScalar(pair.key)) byKey.set(String(pair.key.value), pair)
      pairs.set(map, byKey)
    }
    return byKey.get(String(key))
  }

  /** The node at a path, and the pair that holds it; stops at the last thing that exists. */
  const find = (path: Path): { node: unknown; pair: Pair | undefined; complete: boolean } => {
    let node: unknown = document.contents
    let pair: Pair | undefined
    for (const key of path) {
      // What an alias stands for is written elsewhere: the alias itself is the place.
      if (node instanceof Alias || isAlias(node)) return { node, pair, complete: true }
      let next: unknown
      let nextPair: Pair | undefined
      if (isSeq(node) && typeof key === 'number') next = node.items[key]
      else {
        nextPair = pairAt(node, key)
        next = nextPair?.value
      }
      if (next === undefined && nextPair === undefined) return { node, pair, complete: false }
      node = isPair(next) ? next.value : next
      pair = nextPair
    }
    return { node, pair, complete: true }
  }

  return {
    value,
    mistakes,
    placeOf(path, part = 'value') {
      const { node, pair, complete } = find(path)
      const key = pair?.key as YamlNode | undefined
      const target = part === 'key' || !complete || (node as YamlNode | null)?.range == null ? key : undefined
      const range = (target ?? (node as YamlNode | null))?.range
      return at(range?.[0] ?? 0)
    },
    keysAt(path) {
      const { node, complete } = find(path)
      const map = isAlias(node) ? node.resolve(document) : node
      if (!complete || !isMap(map)) return []
      return map.items.map((pair) => String((pair.key as { value?: unknown } | null)?.value))
    },
    writtenAt(path) {
      const { node } = find(path)
      return isScalar(node) ? node.source : undefined
    },
  }
}

function unreadable(mistakes: Mistake[], place: Place): YamlSource {
  return { value: undefined, mistakes, placeOf: () => place, keysAt: () => [], writtenAt: () => undefined }
}

/** A syntax error as one clause. The library may quote what it stumbled over, which may be a secret. */
function syntaxProblem(code: string, message: string, character: string): string {
  if (code === 'UNEXPECTED_TOKEN')
    return /[\][{}:,&*!|>'"%@`?-]/.test(character)
      ? `${character} does not belong here`
      : 'this does not belong here'
  if (/^Implicit (?:map )?keys/.test(message)) return 'this line has no colon'
  if (/^Missing closing .quote/.test(message)) return 'a quote is not closed'
  if (/^Flow (map|sequence)/.test(message)) return 'a { or [ is not closed'
  return firstSentence(message)
}

function firstSentence(message: string): string {
  const text = (message.split('\n')[0] ?? message).replace(/[.:]$/, '')
  return text.charAt(0).toLowerCase() + text.slice(1)
}

/** How many of the ascending numbers are at most `limit`. */
function countUpTo(ascending: readonly number[], limit: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((ascending[middle] ?? 0) <= limit) low = middle + 1
    else high = middle
  }
  return low
}
