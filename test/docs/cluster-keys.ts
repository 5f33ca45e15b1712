/** The keys of the cluster file as a table, from the schema that judges it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/package-root.ts'

interface Schema {
  $ref?: string
  description?: string
  type?: string | string[]
  enum?: unknown[]
  examples?: unknown[]
  default?: unknown
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: Schema | boolean
  anyOf?: Schema[]
  oneOf?: Schema[]
}

const root = JSON.parse(readFileSync(join(packageRoot(), 'schema/cluster.v1.json'), 'utf8')) as Schema & {
  $defs: Record<string, Schema>
}

/** A reference is what it names; what stands beside it goes before. */
function resolve(schema: Schema): Schema {
  const name = schema.$ref?.replace('#/$defs/', '')
  return name === undefined ? schema : { ...resolve(root.$defs[name] ?? {}), ...schema, $ref: undefined }
}

const cell = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ')

function* rows(path: string, given: Schema): Generator<string> {
  const schema = resolve(given)
  const example = schema.examples?.[0]
  const values =
    schema.enum === undefined ? '' : ` One of ${schema.enum.map((value) => `\`${value}\``).join(', ')}.`
  if (path !== '')
    yield `| \`${path}\` | ${cell(`${schema.description ?? ''}${values}`)} | ${example === undefined ? '' : `\`${cell(JSON.stringify(example))}\``} |`
  const below = path === '' ? '' : `${path}.`
  for (const [key, child] of Object.entries(schema.properties ?? {}))
    if (key !== '$schema' && !(path !== '' && isShared(key, path))) yield* rows(`${below}${key}`, child)
  const named = schema.additionalProperties
  if (typeof named === 'object' && resolve(named).properties !== undefined) yield* rows(`${below}NAME`, named)
  // A map or a list of them: the keys stand there once.
  if (schema.properties === undefined && resolve(schema.items ?? {}).properties !== undefined)
    yield* rows(`${path}[]`, schema.items ?? {})
}

/** What a node or a group may say as the whole file may: it stands there once. */
const isShared = (key: string, path: string): boolean =>
  /^(nodes|groups)\.NAME$/.test(path) && root.properties?.[key] !== undefined

export const formatClusterKeys = (): string =>
  `| key | | example |\n|---|---|---|\n${[...rows('', root)].join('\n')}\n`
