/**
 * Plain values against schema/cluster.v1.json, and the validator's findings as
 * sentences for people: what is wrong with which value, and what would be right.
 *
 * A value that breaks its schema is then taken out (set to undefined), so that
 * the rest of the file can still be judged and every mistake shown at once.
 * Titles, descriptions and examples of the schema are the words used.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ErrorObject, ValidateFunction } from 'ajv'
import { suggest } from '../nearest.ts'
import { packageRoot } from '../package-root.ts'
import { type Feature, joinKinds } from './feature.ts'
import { type Complaint, formats } from './formats.ts'
import type { Path, YamlSource } from './yaml-source.ts'

export interface Finding {
  path: Path
  part: 'key' | 'value'
  message: string
  hint: string
}

interface SchemaPart {
  title?: string
  description?: string
  examples?: unknown[]
  type?: string | string[]
  properties?: Record<string, unknown>
  enum?: unknown[]
}

/** Values that are secrets, or may be one in the wrong place: never shown. */
const secretKeys = new Set(['passphrase', 'psk', 'passwordHash', 'password', 'sshKeys'])

const validators = new Map<string, Promise<ValidateFunction>>()

/** @param kinds what `join.kind` may be */
async function loadValidator(kinds: readonly string[]): Promise<ValidateFunction> {
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  const ajv = new Ajv2020({ allErrors: true, verbose: true, allowUnionTypes: true, strictRequired: false })
  for (const [name, format] of Object.entries(formats))
    ajv.addFormat(name, (text: string) => format(text) === undefined)
  const schema = JSON.parse(await readFile(join(packageRoot(), 'schema', 'cluster.v1.json'), 'utf8'))
  schema.properties.join.properties.kind.enum = kinds
  return ajv.compile(schema)
}

/**
 * Check values against the schema.
 * @param source what was read; its `value` loses what is wrong
 */
export async function checkSchema(source: YamlSource, features: readonly Feature[]): Promise<Finding[]> {
  const kinds = [...joinKinds(features), 'none']
  const validator = validators.get(kinds.join()) ?? loadValidator(kinds)
  validators.set(kinds.join(), validator)
  const validate = await validator
  if (validate(source.value)) return []
  const findings: Finding[] = []
  const wrong: Path[] = []
  for (const error of ordered(validate.errors ?? [])) {
    const finding = describe(error, source)
    if (error.keyword !== 'required' && error.propertyName === undefined) wrong.push(finding.path)
    findings.push(finding)
  }
  for (const path of wrong) takeOut(source.value, path)
  return findings
}

/** One finding per value is enough: the format says more than a pattern, and a wrong type more than either. */
function ordered(errors: ErrorObject[]): ErrorObject[] {
  const rank = ['type', 'format', 'enum', 'const']
  const place = (error: ErrorObject): number =>
    (rank.indexOf(error.keyword) + rank.length + 1) % (rank.length + 1)
  const best = new Map<string, ErrorObject>()
  for (const error of errors) {
    if (error.keyword === 'if' || error.keyword === 'propertyNames') continue
    const about = [
      error.instancePath,
      error.propertyName ?? '',
      error.params.additionalProperty ?? error.params.missingProperty ?? '',
    ].join('\n')
    const other = best.get(about)
    if (other === undefined || place(error) < place(other)) best.set(about, error)
  }
  return [...best.values()]
}

function describe(error: ErrorObject, source: YamlSource): Finding {
  const path = pathOf(error, source)
  const schema = error.parentSchema as SchemaPart
  const found = (
    message: string,
    hint: string,
    part: 'key' | 'value' = 'value',
    at: Path = path,
  ): Finding => ({
    path: at,
    part,
    message,
    hint,
  })

  if (error.propertyName !== undefined) {
    const at = [...path, error.propertyName]
    const complaint = formats[String(error.params.format)]?.(error.propertyName)
    return found(
      complaint === undefined
        ? `${schema.title ?? 'key'} ${show(error.propertyName)} is not right`
        : `${show(error.propertyName)} ${complaint.problem}`,
      complaint?.hint ?? schema.description ?? '',
      'key',
      at,
    )
  }
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params.additionalProperty)
      const known = Object.keys(schema.properties ?? {}).filter((name) => name !== '$schema')
      return found(`unknown key ${show(key)}${inside(path)}`, unknownKeyHint(key, known, path), 'key', [
        ...path,
        key,
      ])
    }
    case 'required': {
      const key = String(error.params.missingProperty)
      const part = (schema.properties?.[key] ?? {}) as SchemaPart
      return found(
        `${path.length === 0 ? 'the cluster file' : name(path)} has no ${show(key)}`,
        example(part, key),
        'key',
      )
    }
    case 'type':
      return found(typeMessage(path, error.data, schema), typeHint(path, error.data, schema, source))
    case 'enum': {
      const allowed = error.params.allowedValues as string[]
      return found(
        `${name(path)}: ${show(error.data)} is not a valid ${schema.title ?? 'choice here'}`,
        suggest(String(error.data), allowed, 'one of'),
      )
    }
    case 'const':
      return found(`${name(path)} can't be ${show(error.data)}`, 'only false, or a map')
    case 'format': {
      const complaint: Complaint | undefined = formats[String(error.params.format)]?.(String(error.data))
      const value = isSecret(path) ? '' : `: ${show(error.data)}`
      return found(`${name(path)}${value} ${complaint?.problem ?? ''}`, complaint?.hint ?? '')
    }
    case 'minProperties':
    case 'minItems':
    case 'minLength':
      return found(`${name(path)} is empty`, example(schema))
    case 'maxItems':
      return found(
        `${name(path)} has ${(error.data as unknown[]).length} items`,
        `at most ${error.params.limit} are possible`,
      )
    case 'maxProperties':
      return found(
        `${name(path)} has ${Object.keys(error.data as object).length} keys`,
        'start each overlay with a dash of its own, parameters indented below its name',
      )
    default:
      return found(`${name(path)} ${error.message ?? 'is not right'}`, schema.description ?? '')
  }
}

function typeMessage(path: Path, data: unknown, schema: SchemaPart): string {
  const wanted = [schema.type ?? []].flat().map((type) => typeWords[type] ?? type)
  const subject = path.length === 0 ? 'the cluster file' : name(path)
  return `${subject} is ${kindOf(data, isSecret(path))}; it should be ${wanted.join(' or ')}`
}

function typeHint(path: Path, data: unknown, schema: SchemaPart, source: YamlSource): string {
  const text = [schema.type].flat().includes('string')
  if (text && (typeof data === 'number' || typeof data === 'boolean')) {
    const written = source.writtenAt(path) ?? String(data)
    return isSecret(path) ? 'put it in quotes' : `put it in quotes: "${written}"`
  }
  if (schema.type === 'boolean') return 'write true or false'
  if (schema.type === 'array' && typeof data === 'string')
    return isSecret(path) ? 'put it in [ ]' : `put it in brackets: [${data}]`
  return data === null ? `give a value, or remove the key; ${example(schema)}` : example(schema)
}

const typeWords: Record<string, string> = {
  object: 'a map of keys and values',
  array: 'a list',
  string: 'text',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  null: 'nothing',
}

function kindOf(data: unknown, secret: boolean): string {
  if (data === null || data === undefined) return 'empty'
  if (Array.isArray(data)) return 'a list'
  if (typeof data === 'object') return 'a map'
  const kind = typeof data === 'string' ? 'the text' : typeof data === 'number' ? 'the number' : 'the word'
  return secret ? kind.replace('the', 'a') : `${kind} ${show(data)}`
}

function unknownKeyHint(key: string, known: readonly string[], path: Path): string {
  if (key === 'password' && (path.at(-1) === 'user' || path.at(-2) === 'users'))
    return 'this file is for git: put it on the first line of a file (chmod 600) and name that: passwordFile; or hash it: passwordHash, made with openssl passwd -6'
  if (key === '<<') return 'YAML merge keys are not read; use groups: for what nodes share'
  return suggest(key, known, 'keys')
}

/** What would be right, by example if the schema has one. */
function example(schema: SchemaPart, key?: string): string {
  const [first] = schema.examples ?? []
  if (first === undefined) return schema.description ?? schema.title ?? ''
  const text =
    typeof first === 'string'
      ? first
      : JSON.stringify(first)
          .replaceAll('"', '')
          .replaceAll(/([:,])/g, '$1 ')
  return `for example ${key === undefined ? '' : `${key}: `}${text}`
}

const isSecret = (path: Path): boolean => path.some((key) => secretKeys.has(String(key)))

/** `nodes.oneil.model`; list items as `overlays[2]`. */
export function name(path: Path): string {
  return path
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${key}`))
    .join('')
}

const inside = (path: Path): string => (path.length === 0 ? '' : ` in ${name(path)}`)

/** A value in quotes, on one line, cut when long. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  const characters = [...text]
  return characters.length <= 60
    ? text
    : `${characters.slice(0, 57).join('')}…${text.endsWith('"') ? '"' : ''}`
}

/** A JSON pointer as a path; list indexes become numbers. */
function pathOf(error: ErrorObject, source: YamlSource): Path {
  const path: (string | number)[] = []
  let value: unknown = source.value
  for (const token of error.instancePath.split('/').slice(1)) {
    const key = token.replace(/~1/g, '/').replace(/~0/g, '~')
    path.push(Array.isArray(value) ? Number(key) : key)
    value = (value as Record<string, unknown> | null)?.[key]
  }
  return path
}

function takeOut(root: unknown, path: Path): void {
  let value = root as Record<string | number, unknown> | undefined
  for (const key of path.slice(0, -1)) {
    const next = value !== undefined && Object.hasOwn(value, key) ? value[key] : undefined
    if (typeof next !== 'object' || next === null) return
    value = next as Record<string | number, unknown>
  }
  const last = path.at(-1)
  if (value !== undefined && last !== undefined && Object.hasOwn(value, last)) value[last] = undefined
}
