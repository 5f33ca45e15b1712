/**
 * Overlays: folders with an `overlay.yaml` that says, as data, what changes on
 * a node's boot partition. piimage ships some; a folder `overlays/` beside the
 * cluster file adds to them, found and checked in the same way.
 *
 * Reading checks the form against schema/overlay.v1.json and reports every
 * mistake of a file at once, with its place. What an overlay *does* is worked
 * out later, for one node (./resolve-overlay.ts).
 */
import { readdir, readFile, realpath } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { type Document, isCollection, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import { isMissing } from '../errno.ts'
import { type Mistake, MistakesError, PiimageError, UsageError } from '../errors.ts'
import { readInputText } from '../io/input-file.ts'
import { packageRoot } from '../package-root.ts'
import { KiB } from '../units.ts'
import { findReference, inBoundedTime, linearEngine } from './foreign-schema.ts'
import type { Need } from './needs.ts'

/** An edit as overlay.yaml says it: one key for its kind, placeholders not filled in. */
export type RawEdit = { when?: Record<string, unknown> } & Record<string, unknown>

export interface Overlay {
  name: string
  summary: string
  description?: string
  /** Absolute; `from:` and `script:` are paths in it. */
  folder: string
  /** overlay.yaml, as messages name it. */
  file: string
  /** JSON Schema of each parameter, with description. */
  parameters: Record<string, ParameterSchema>
  /** Lists of parameters; of each list exactly one is given. */
  choice: string[][]
  requires: string[]
  conflicts: string[]
  needs: Need[]
  edits: RawEdit[]
  /** What is wrong with parameters that were given, defaults already filled in. */
  findWrongParameters: (parameters: Record<string, unknown>) => { message: string }[]
}

export interface ParameterSchema {
  description: string
  default?: unknown
  type?: string | string[]
  enum?: unknown[]
  [keyword: string]: unknown
}

/**
 * Every overlay in these folders; a name in an earlier folder hides the same
 * name in a later one, so that a cluster can bring its own `docker`.
 *
 * @param folders absolute; one that does not exist holds none
 * @throws {MistakesError} all mistakes of all files
 */
export async function readOverlays(folders: readonly string[]): Promise<Map<string, Overlay>> {
  const validate = await compileOverlaySchema()
  const overlays = new Map<string, Overlay>()
  const mistakes: Mistake[] = []
  for (const folder of folders) {
    for (const name of await listFolders(folder)) {
      if (overlays.has(name)) continue
      const read = await readOverlay(join(folder, name), name, validate)
      if (Array.isArray(read)) mistakes.push(...read)
      else if (read !== undefined) overlays.set(name, read)
    }
  }
  if (mistakes.length > 0) throw new MistakesError(mistakes)
  return overlays
}

const ajvOptions = {
  allErrors: true,
  allowUnionTypes: true,
  verbose: true,
  addUsedSchema: false,
  logger: false,
} as const
/** One for all that needs the schema of schemas; what it compiles it keeps for ever, though not under its `$id`. */
const ajv = new Ajv(ajvOptions)

/** The form of overlay.yaml; shipped, so that editors can complete it. */
export async function compileOverlaySchema(): Promise<ValidateFunction> {
  return ajv.compile(JSON.parse(await readFile(join(packageRoot(), 'schema/overlay.v1.json'), 'utf8')))
}

async function listFolders(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw new UsageError(`the overlay folder ${folder} cannot be read: ${(error as Error).message}`, {
      hint: 'It has to be a folder of folders, each with an overlay.yaml.',
      cause: error,
    })
  }
}

/** Ten times the longest that ships; each key of it is compared with others. */
const LONGEST_OVERLAY = 64 * KiB

/** @returns undefined when the folder holds no overlay.yaml */
async function readOverlay(
  folder: string,
  name: string,
  validate: ValidateFunction,
): Promise<Overlay | Mistake[] | undefined> {
  const file = join(folder, 'overlay.yaml')
  let text: string
  try {
    const home = await realpath(folder)
    // Else the files beside the cluster file would be the overlay's own.
    if (`${await realpath(dirname(folder))}${sep}`.startsWith(`${home}${sep}`))
      throw new UsageError(`the overlay ${folder} is a link to a folder that it lies in`, {
        hint: 'Give the overlay a folder of its own.',
      })
    // Its words are shown where they are wrong: a link must not make them another file's.
    if ((await realpath(file)) !== join(home, 'overlay.yaml'))
      throw new UsageError(`${file} leads out of its folder`, { hint: 'Put the file itself there.' })
    text = readInputText(file, LONGEST_OVERLAY)
  } catch (error) {
    if (error instanceof PiimageError) throw error
    if (isMissing(error)) return undefined
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  return parseOverlay(text, { file, folder, name }, validate)
}

/**
 * @param validate from compileOverlaySchema
 * @returns the overlay, or every mistake in its text
 */
export function parseOverlay(
  text: string,
  { file, folder, name }: { file: string; folder: string; name: string },
  validate: ValidateFunction,
): Overlay | Mistake[] {
  const lines = new LineCounter()
  let document: Document
  try {
    document = parseDocument(text, { lineCounter: lines, logLevel: 'error' })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return [{ file, line: 1, column: 1, message: 'maps and lists are nested too deeply to be read' }]
  }
  const at = (offset: number, message: string, hint?: string): Mistake => {
    const { line, col } = lines.linePos(offset)
    return { file, line, column: col, message, hint }
  }
  if (document.errors.length > 0) {
    return document.errors.map((error) => at(error.pos[0], error.message.split('\n', 1)[0] ?? error.message))
  }
  let value: Record<string, unknown>
  try {
    value = document.toJS() as Record<string, unknown>
  } catch (error) {
    // An alias of nothing, or aliases of aliases.
    return [at(0, (error as Error).message, 'An overlay needs no anchors and aliases.')]
  }
  if (!validate(value)) {
    return explain(validate.errors ?? []).map(({ path, message }) => at(offsetOf(document, path), message))
  }
  if (value.name !== name) {
    return [
      at(
        offsetOf(document, ['name']),
        `the overlay is named ${value.name}, its folder ${name}`,
        'Give both the same name.',
      ),
    ]
  }
  const parameters = (value.parameters ?? {}) as Record<string, ParameterSchema>
  let validateParameters: ValidateFunction
  try {
    validateParameters = inBoundedTime(() => compileParameters(parameters))
  } catch (error) {
    return [
      at(
        offsetOf(document, ['parameters']),
        `a parameter is not valid: ${(error as Error).message}`,
        'A parameter is a JSON Schema without $ref; its patterns have no look-around and no back-references.',
      ),
    ]
  }
  return {
    name,
    summary: value.summary as string,
    description: value.description as string | undefined,
    folder,
    file,
    parameters,
    choice: (value.choice ?? []) as string[][],
    requires: (value.requires ?? []) as string[],
    conflicts: (value.conflicts ?? []) as string[],
    needs: (value.needs ?? []) as Need[],
    edits: value.edits as RawEdit[],
    findWrongParameters: (given) => findWrong(validateParameters, given),
  }
}

function findWrong(validate: ValidateFunction, parameters: unknown): { message: string }[] {
  try {
    return inBoundedTime(() => (validate(parameters) ? [] : explain(validate.errors ?? [])))
  } catch (error) {
    return [{ message: `its parameters can't be checked: ${(error as Error).message}` }]
  }
}

/** A parameter that may be null by default accepts null, whatever its type says. */
function compileParameters(parameters: Record<string, ParameterSchema>): ValidateFunction {
  const reference = findReference(parameters)
  if (reference !== undefined)
    throw new Error(
      `it refers to ${JSON.stringify(reference)}, and each has to stand by itself, without $ref`,
    )
  const properties: Record<string, unknown> = {}
  const required: string[] = []
  for (const [name, schema] of Object.entries(parameters)) {
    if (schema.default === null) properties[name] = { anyOf: [{ type: 'null' }, schema] }
    else properties[name] = schema
    if (!('default' in schema)) required.push(name)
  }
  const schema = { type: 'object', additionalProperties: false, properties, required }
  ajv.validateSchema(schema, true)
  // One of its own, without the schema of schemas, costs no more, and what was compiled goes with it.
  return new Ajv({
    ...ajvOptions,
    meta: false,
    validateSchema: false,
    code: { regExp: linearEngine },
    // Else it tries the patterns of keys against the names beside them, by an engine that backtracks.
    allowMatchingProperties: true,
  }).compile(schema)
}

/** Where a value stands in the text; of a missing one, the nearest thing around it. */
function offsetOf(document: Document, path: readonly string[]): number {
  let node: unknown = document.contents
  let offset = (document.contents as Node | null)?.range?.[0] ?? 0
  for (const part of path) {
    if (!isCollection(node)) break
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part)
      if (pair === undefined) break
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value
    } else {
      node = node.get(Number(part), true)
      offset = (node as Node | undefined)?.range?.[0] ?? offset
    }
  }
  return offset
}

/**
 * A validator's errors in words a person can act on, one for each place.
 * Of `oneOf` and `anyOf` only the branch errors that name a value are of use.
 */
export function explain(errors: readonly ErrorObject[]): { path: string[]; message: string }[] {
  const found = new Map<string, { path: string[]; message: string }>()
  const unknown = new Set(
    errors.filter(({ keyword }) => keyword === 'additionalProperties').map((e) => e.instancePath),
  )
  for (const error of errors) {
    const path = error.instancePath
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    const place = path.length === 0 ? '' : `${path.join('.')}: `
    let message: string
    if (error.keyword === 'additionalProperties') {
      path.push(String(error.params.additionalProperty))
      message = `${place}there is no ${error.params.additionalProperty} here`
    } else if (error.keyword === 'enum')
      message = `${place}must be one of ${error.params.allowedValues.join(', ')}`
    else if (error.keyword === 'pattern' && error.parentSchema?.description !== undefined) {
      message = `${place}must be ${lowerFirst(String(error.parentSchema.description))}`
    } else if (error.keyword === 'oneOf' && unknown.has(error.instancePath)) continue
    else if (error.keyword === 'oneOf' && /\/edits\/\d+$/.test(error.instancePath)) {
      const kinds = (error.schema as { required: string[] }[]).flatMap(({ required }) => required)
      message = `${place}must have exactly one of ${kinds.join(', ')}`
    } else if (error.keyword === 'required' && error.schemaPath.includes('/oneOf/')) continue
    else if (error.keyword === 'propertyNames' || isOtherChoice(error, errors)) continue
    else
      message = `${place}${error.propertyName === undefined ? '' : `${error.propertyName} `}${error.message ?? 'is wrong'}`
    const key = path.join('/')
    if (!found.has(key)) found.set(key, { path, message })
  }
  return [...found.values()]
}

/** "must be null" of a parameter that may be left out, beside what is really wrong with it. */
const isOtherChoice = (error: ErrorObject, errors: readonly ErrorObject[]): boolean =>
  error.params.type === 'null' &&
  errors.some(
    (other) =>
      other !== error && other.keyword !== 'anyOf' && other.instancePath.startsWith(error.instancePath),
  )

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '')
