/**
 * The text of images.lock.json → its JSON, or every mistake in it with line and
 * column. Knows the schema and nothing of what the values mean.
 *
 * JSON.parse gives the values; the same text read as YAML (of which JSON is a
 * part) gives their places and finds keys that stand twice, where JSON.parse
 * would silently take the last.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ErrorObject, ValidateFunction } from 'ajv'
import {
  type Document,
  isMap,
  isNode,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import { type Mistake, MistakesError, UsageError } from '../errors.ts'
import { packageRoot } from '../package-root.ts'
import { findTwins } from '../yaml-twins.ts'

/** The newest format this piimage reads and writes. */
export const LOCKFILE_VERSION = 1

/** The file as it stands: what the schema promises. */
export interface LockJson {
  $schema?: string
  lockfileVersion: number
  images: Record<string, Record<string, unknown>>
}

/**
 * @param file name for the messages
 * @throws {MistakesError} not JSON, a key twice, or not as the schema wants it
 * @throws {UsageError} made by a newer piimage
 */
export async function checkLockText(text: string, file: string): Promise<LockJson> {
  const lineCounter = new LineCounter()
  const value = parseJson(text, file)
  refuseDeep(value, file)
  const document = readPlaces(text, lineCounter)
  const twins = findTwins(document).map((key) => [key.range?.[0] ?? 0, 'this key stands twice'] as const)
  const wrong = [
    ...document.errors.map(({ pos, message }) => [pos[0], firstLine(message)] as const),
    ...twins,
  ]
  if (wrong.length > 0) {
    const mistakes = wrong.map(([offset, message]) => {
      const { line, col } = lineCounter.linePos(offset)
      return { file, line, column: col, message }
    })
    throw new MistakesError(inReadingOrder(mistakes))
  }
  refuseNewer(value, file)
  const validate = await loadValidator()
  if (!validate(value)) {
    const placeOf = openPlaces(document)
    const mistakes = (validate.errors ?? [])
      .filter((error) => error.keyword !== 'if' && error.keyword !== 'propertyNames')
      .map((error) => describe(error, file, placeOf, lineCounter))
    throw new MistakesError(inReadingOrder(mistakes))
  }
  return value as LockJson
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const message = firstLine((error as Error).message)
    // For short texts V8 quotes the text and names no position.
    const at = Number(
      /position (\d+)/.exec(message)?.[1] ?? (message.includes('end of JSON') ? text.length : 0),
    )
    const before = text.slice(0, at).split('\n')
    throw new MistakesError([
      {
        file,
        line: before.length,
        column: (before.at(-1)?.length ?? 0) + 1,
        message: `not JSON: ${message}`,
      },
    ])
  }
}

function readPlaces(text: string, lineCounter: LineCounter): Document {
  return parseDocument(text, {
    lineCounter,
    uniqueKeys: false,
    prettyErrors: false,
    version: '1.2',
    schema: 'json',
    logLevel: 'error',
  })
}

/** A lock has six levels. Reading places recurses, and a file of brackets would overflow the stack. */
function refuseDeep(value: unknown, file: string): void {
  let level = [value]
  for (let depth = 0; depth < 20; depth += 1) {
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []))
    if (level.length === 0) return
  }
  throw new MistakesError([
    { file, line: 1, column: 1, message: 'brackets are nested too deeply for a lock' },
  ])
}

function refuseNewer(value: unknown, file: string): void {
  const version = (value as { lockfileVersion?: unknown } | null)?.lockfileVersion
  if (typeof version === 'number' && version > LOCKFILE_VERSION) {
    throw new UsageError(
      `${file} has lockfileVersion ${version}: it was made by a newer piimage (this one reads up to ${LOCKFILE_VERSION})`,
      { hint: 'Update piimage: npm install piimage@latest' },
    )
  }
}

let validator: Promise<ValidateFunction> | undefined

/** ajv takes a while to load, so commands that read no lock don't pay for it. */
function loadValidator(): Promise<ValidateFunction> {
  validator ??= (async () => {
    const { Ajv2020 } = await import('ajv/dist/2020.js')
    const schema = JSON.parse(await readFile(join(packageRoot(), 'schema', 'images.lock.v1.json'), 'utf8'))
    return new Ajv2020({
      allErrors: true,
      verbose: true,
      allowUnionTypes: true,
      strictRequired: false,
    }).compile(schema)
  })()
  return validator
}

function describe(error: ErrorObject, file: string, placeOf: PlaceOf, lines: LineCounter): Mistake {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  // ajv places the pattern of a key at the map and gives the key in `propertyName`.
  const badKey =
    error.keyword === 'additionalProperties' ? error.params.additionalProperty : error.propertyName
  const { line, col } = lines.linePos(placeOf(path, badKey))
  const where = path.length === 0 ? '' : `${path.at(-1)}: `
  return { file, line, column: col, message: `${where}${explain(error)}`, ...hintOf(error) }
}

function explain(error: ErrorObject): string {
  if (error.propertyName !== undefined)
    return `${JSON.stringify(error.propertyName)} is not a valid image key`
  const value = shorten(JSON.stringify(error.data))
  switch (error.keyword) {
    case 'additionalProperties':
      return `unknown key ${JSON.stringify(error.params.additionalProperty)}`
    case 'required':
      return `${JSON.stringify(error.params.missingProperty)} is missing`
    case 'enum':
      return `${value} is none of ${error.params.allowedValues.join(', ')}`
    case 'const':
      return `is ${value}, must be ${JSON.stringify(error.params.allowedValue)}`
    default:
      return `is ${value}, ${error.message ?? 'which the schema forbids'}`
  }
}

function hintOf(error: ErrorObject): { hint?: string } {
  const hint = (error.parentSchema as { description?: unknown } | undefined)?.description
  return error.keyword === 'pattern' && typeof hint === 'string' ? { hint } : {}
}

/** Offset of a value, or of a key in it. */
type PlaceOf = (path: readonly string[], key?: string) => number

/** Each map is gone through once, however many mistakes are in it. */
function openPlaces(document: Document): PlaceOf {
  const maps = new WeakMap<YAMLMap, Map<string, Pair>>()
  const pairIn = (map: YAMLMap, key: string): Pair | undefined => {
    let pairs = maps.get(map)
    if (pairs === undefined) {
      pairs = new Map(map.items.map((pair) => [String((pair.key as Scalar).value), pair]))
      maps.set(map, pairs)
    }
    return pairs.get(key)
  }
  return (path, key) => {
    let node: unknown = document.contents
    for (const part of path) {
      if (isMap(node)) node = pairIn(node, part)?.value
      else if (isSeq(node)) node = node.items[Number(part)]
    }
    const found = key === undefined ? node : isMap(node) ? pairIn(node, key)?.key : undefined
    return isNode(found) ? (found.range?.[0] ?? 0) : 0
  }
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''
const shorten = (text: string | undefined): string =>
  text === undefined ? 'nothing' : text.length > 90 ? `${text.slice(0, 87)}...` : text

/** Sorted by place; a rule that failed by two ways is said once. */
function inReadingOrder(mistakes: Mistake[]): Mistake[] {
  const seen = new Set<string>()
  return mistakes
    .filter((m) => {
      const id = `${m.line}:${m.column}:${m.message}`
      return !seen.has(id) && seen.add(id)
    })
    .sort((a, b) => a.line - b.line || a.column - b.column)
}
