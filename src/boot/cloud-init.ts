/**
 * cloud-init seed files on the boot partition (datasource NoCloud).
 *
 * `user-data` says what to set up, `meta-data` which machine this is,
 * `network-config` how it is reached. A mistake in their YAML is no error to
 * cloud-init: it skips the file and the node comes up without a user. So they
 * are written from trees by a YAML library, every text double-quoted (JSON's
 * way, which YAML 1.1 and 1.2 read alike: no `no`, no `0123`, no `1:30`), all
 * of it ASCII, and parsed again before anybody gets to see them.
 *
 * Source: cloud-init documentation, "NoCloud", "Cloud config data"; YAML 1.1.
 */
import { Document, isPair, isScalar, LineCounter, parseDocument, Scalar, visit, YAMLParseError } from 'yaml'
import { FormatError, UsageError } from '../errors.ts'
import { findTwins } from '../yaml-twins.ts'

/** A YAML value: what JSON has. */
export type Tree = null | boolean | number | string | Tree[] | { [key: string]: Tree }
export type TreeMap = { [key: string]: Tree }

const isMap = (tree: Tree | undefined): tree is TreeMap =>
  typeof tree === 'object' && tree !== null && !Array.isArray(tree)

/** Outside ASCII, `\u2028` and its like are line ends to some readers: escape all of it. */
function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\U${code.toString(16).padStart(8, '0')}`
}

/**
 * Tree → YAML text that any reader takes for the same tree.
 *
 * @throws {UsageError} a text that no file can carry (half a surrogate pair)
 */
export function formatYaml(tree: TreeMap): string {
  return formatDocument(new Document(tree, { version: '1.1', aliasDuplicateObjects: false }))
}

function formatDocument(document: Document): string {
  let unwritable: string | undefined
  visit(document, {
    Scalar(_, { value }, path) {
      if (typeof value === 'string' && /\p{Surrogate}/u.test(value))
        unwritable = `half a character in ${nearestKey(path)}`
    },
    Pair(_, pair) {
      const key = pair.key
      // YAML 1.1 takes it for a merge, quoted or not.
      if (isScalar(key) && key.value === '<<') unwritable = 'the key <<'
      if (isScalar(key) && typeof key.value === 'string' && !/^[A-Za-z][A-Za-z0-9_.-]*$/.test(key.value))
        key.type = Scalar.QUOTE_DOUBLE
    },
  })
  if (unwritable !== undefined) {
    throw new UsageError(`YAML cannot carry ${unwritable}`, {
      hint: 'Correct the value in the cluster file or the overlay.',
    })
  }
  const tree = JSON.stringify(document.toJS())
  const text = document
    .toString({ defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', lineWidth: 0, indentSeq: false })
    .replace(/[\u007f-\u{10ffff}]/gu, escapeCharacter)
  const again = parseDocument(text, { version: '1.1', uniqueKeys: false, logLevel: 'error' })
  if (again.errors.length > 0 || JSON.stringify(again.toJS()) !== tree) {
    throw new Error('YAML that was written reads back as something else')
  }
  return text
}

/** The key of the innermost mapping around a value; never the value, which may be secret. */
function nearestKey(path: readonly unknown[]): string {
  const pair = path.findLast(isPair)
  return isScalar(pair?.key) ? JSON.stringify(String(pair.key.value)) : 'a list'
}

/** `user-data`: cloud-init takes the file for cloud-config by its first line only. */
export function formatUserData(tree: TreeMap, comment: string): string {
  return `#cloud-config\n# ${comment}\n${Object.keys(tree).length === 0 ? '' : formatYaml(tree)}`
}

/** Several parts in one file, each of which cloud-init takes for what its type says. */
export function formatArchive(parts: readonly { type: string; content: string }[], comment: string): string {
  const document = new Document(parts, { version: '1.1', aliasDuplicateObjects: false })
  visit(document, {
    Scalar(_, scalar) {
      // For people. Outside ASCII it is escaped, which only quotes take.
      if (/^[\t\n\x20-\x7e]*\n$/.test(String(scalar.value))) scalar.type = Scalar.BLOCK_LITERAL
    },
  })
  return `#cloud-config-archive\n# ${comment}\n${formatDocument(document)}`
}

/** What else cloud-init takes for user-data, by how it begins. */
const otherKinds: readonly [RegExp, string][] = [
  [/^## *template: *jinja/i, 'a Jinja template'],
  [/^#cloud-config-archive/, 'an archive of several parts'],
  [/^#cloud-config-jsonp/, 'a JSON patch'],
  [/^#include/, 'a list of addresses'],
  [/^#cloud-boothook/, 'a boothook'],
  [/^#part-handler/, 'a part handler'],
  [/^#upstart-job/, 'an upstart job'],
  [/^#!/, 'a script'],
  [/^(?:content-type|mime-version|from):? /i, 'a MIME message'],
]

/**
 * The settings of a `user-data` file; {} when it only holds comments.
 *
 * @param name for messages: the file's path
 * @throws {FormatError} another first line, or YAML that is no mapping
 */
export function parseUserData(text: string, name: string): TreeMap {
  const content = text.replace(/^\ufeff/, '')
  const first = content.split(/\r?\n/, 1)[0] ?? ''
  if (first.trimEnd() === '#cloud-config') return parseYamlMap(content, name)
  const kind = otherKinds.find(([begins]) => begins.test(first))?.[1]
  // What the line says may be a secret: the file may be any file.
  if (kind === undefined)
    throw new FormatError(`${name}: the first line is not #cloud-config`, {
      hint: 'cloud-init would take the file for something else and skip it.',
    })
  throw new FormatError(`${name} is ${kind}, and a node's settings can only be merged into #cloud-config`, {
    hint: 'cloud-init would run it, but without them. Write it as #cloud-config: commands are entries of runcmd.',
  })
}

/**
 * The settings of any YAML file; {} when it only holds comments.
 *
 * @throws {FormatError} it cannot be read, or is no mapping
 */
export function parseYamlMap(text: string, name: string): TreeMap {
  const tree = readValues(text, name)
  if (tree === null) return {}
  if (!isMap(tree)) {
    throw new FormatError(`${name} holds no mapping of settings`, {
      hint: 'It has to be lines of key: value.',
    })
  }
  return tree
}

function readValues(text: string, name: string): Tree {
  try {
    const lines = new LineCounter()
    const document = parseDocument(text, {
      version: '1.1',
      uniqueKeys: false,
      prettyErrors: true,
      lineCounter: lines,
      logLevel: 'error',
    })
    const [error = twinIn(document, lines)] = document.errors
    if (error !== undefined) throw error
    return document.toJS() as Tree
  } catch (error) {
    throw new FormatError(`${name}: ${whyNotYaml(error)}`, {
      hint: 'What reads it would skip the whole file. Correct its YAML.',
    })
  }
}

function twinIn(document: Document, lines: LineCounter): YAMLParseError | undefined {
  const [twin] = findTwins(document)
  if (twin === undefined) return undefined
  const [start, end] = twin.range ?? [0, 0]
  const error = new YAMLParseError([start, end], 'DUPLICATE_KEY', '')
  error.linePos = [lines.linePos(start)]
  return error
}

/** The place and the kind of mistake. The library's own words quote the text, which may be secret. */
function whyNotYaml(error: unknown): string {
  // Others are of several kinds: nesting too deep, aliases of aliases or of nothing, a merge of no map.
  if (!(error instanceof YAMLParseError)) return 'its nesting, aliases or merges cannot be read'
  const [{ line, col } = { line: 1, col: 1 }] = error.linePos ?? []
  return `not valid YAML at line ${line}, column ${col} (${error.code.toLowerCase().replaceAll('_', ' ')})`
}

/**
 * Merge two trees: maps key by key, lists one after the other, anything else: the later one counts.
 *
 * @throws {UsageError} a list on one side and something else on the other; says where
 */
export function mergeTrees(base: TreeMap, over: TreeMap, where = ''): TreeMap {
  const result: TreeMap = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const path = where === '' ? key : `${where}.${key}`
    const old = Object.hasOwn(base, key) ? base[key] : undefined
    if (isMap(old) && isMap(value)) result[key] = mergeTrees(old, value, path)
    else if (Array.isArray(old) && Array.isArray(value)) result[key] = [...old, ...value]
    else if (
      old !== undefined &&
      old !== null &&
      (Array.isArray(old) || isMap(old) || Array.isArray(value) || isMap(value))
    )
      throw new UsageError(
        `user-data: ${path} is ${kind(old)} in one overlay and ${kind(value)} in another`,
        {
          hint: 'Say it in one of them only, or in the same way in both.',
        },
      )
    else result[key] = value
  }
  return result
}

const kind = (tree: Tree): string =>
  Array.isArray(tree) ? 'a list' : isMap(tree) ? 'a mapping' : 'a plain value'
