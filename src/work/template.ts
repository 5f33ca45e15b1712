/**
 * Templates: the examples that ship with piimage, made into a person's own
 * cluster file. Single values are replaced in the text; everything else stays as
 * it is, comments and all.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Document, isMap, isNode, isScalar, parse, parseDocument, type Range, stringify } from 'yaml'
import type { Model } from '../cluster/boards.ts'
import { packageRoot } from '../package-root.ts'

export interface Template {
  name: string
  text: string
  /** What a person has who starts from it: the line `# For:`. */
  purpose: string
  /** Its user's login name. */
  user: string
  /** undefined: no node has Wi-Fi. */
  wifi?: { country: string }
  /** What must be run once before its images can be had; a comment in it says so. */
  lockCommands: string[]
  /** What fetches and checks the files that travel on its cards; in a comment too. */
  fetchCommands: string[]
  /** Their names, which git need not keep. */
  fetchedFiles: string[]
  /** The node to start with. */
  firstNode: string
}

/** What makes a template somebody's own; what is undefined stays as it is. */
export interface TemplateValues {
  cluster: string
  /** For editors: where the schema lies, from the new file. */
  schema: string
  user: string | undefined
  sshKey: string | undefined
  /** In place of the template's key: crypt(3). */
  passwordHash?: string
  timezone?: string
  /** In place of the template's own image and nodes. */
  image?: string
  nodes?: readonly { name: string; model: Model }[]
  wifi: { ssid: string; country: string; passphraseFile: string } | undefined
}

/** Boards on a network that is there already. */
export const PLAIN = 'basic'
/** Needs nothing of anybody's: what it holds is only looked at. */
export const DEMO = 'demo'

const templatesFolder = (): string => join(packageRoot(), 'examples')

export const templateNames = (): string[] =>
  readdirSync(templatesFolder(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(templatesFolder(), entry.name, 'cluster.yaml')))
    .map((entry) => entry.name)
    .sort()

/** @param name one of `templateNames()` */
export function readTemplate(name: string): Template {
  const text = readFileSync(join(templatesFolder(), name, 'cluster.yaml'), 'utf8')
  const document = parseDocument(text)
  const [wifi] = wifiPaths(document)
  const nodes = document.get('nodes')
  return {
    name,
    text,
    purpose: /^# For: (.*)\.$/m.exec(text)?.[1] ?? name,
    user: String(document.getIn(['user', 'name'])),
    wifi: wifi === undefined ? undefined : { country: String(document.getIn([...wifi, 'country'])) },
    lockCommands: [...text.matchAll(/^#\s+(piimage images lock .*)$/gm)].map(([, command = '']) => command),
    fetchCommands: [...text.matchAll(/^#\s+((?:curl|sha256sum) .*)$/gm)].map(([, command = '']) => command),
    fetchedFiles: [...text.matchAll(/^#\s+curl -\S*O .*\/(\S+)$/gm)].map(([, name = '']) => name),
    firstNode: String(isMap(nodes) ? nodes.items[0]?.key : undefined),
  }
}

export function fillTemplate({ text }: Template, values: TemplateValues): string {
  const document = parseDocument(text)
  const edits: [path: unknown[], value: string | undefined][] = [
    [['cluster'], values.cluster],
    [['user', 'name'], values.user],
    [['user', 'sshKeys', 0], values.sshKey],
    [['image'], values.image],
    [['locale', 'timezone'], values.timezone],
    ...(values.wifi === undefined
      ? []
      : wifiPaths(document).flatMap((path) =>
          Object.entries(values.wifi ?? {}).map(([key, value]): [unknown[], string] => [
            [...path, key],
            value,
          ]),
        )),
  ]
  const places = edits.flatMap(([path, value]): Splice[] => {
    if (value === undefined) return []
    const node = document.getIn(path, true)
    if (!isScalar(node) || !node.range) throw new Error(`a template has no value at ${path.join('.')}`)
    return [{ start: node.range[0], end: node.range[1], value: formatScalar(value) }]
  })
  const { nodes, passwordHash, wifi } = values
  if (wifi !== undefined && wifiPaths(document).length === 0) {
    const { key } = pairAt(document, [], 'overlays')
    places.push({ start: key[0], end: key[0], value: `${stringify({ wifi })}\n` })
  }
  if (nodes !== undefined) places.push(...nodePlaces(document, nodes))
  if (passwordHash !== undefined) {
    const { key, value } = pairAt(document, ['user'], 'sshKeys')
    places.push({ start: key[0], end: value[1], value: `passwordHash: ${JSON.stringify(passwordHash)}` })
  }
  let filled = text
  for (const { start, end, value } of places.toSorted((a, b) => b.start - a.start))
    filled = filled.slice(0, start) + value + filled.slice(end)
  return filled.replace(
    /^# yaml-language-server: \$schema=.*$/m,
    () => `# yaml-language-server: $schema=${values.schema}`,
  )
}

interface Splice {
  start: number
  end: number
  value: string
}

/** Where a key of a map stands in the text, and where its value. */
function pairAt(document: Document, path: string[], name: string): { key: Range; value: Range } {
  const map = path.length === 0 ? document.contents : document.getIn(path, true)
  const pair = isMap(map) ? map.items.find(({ key }) => isScalar(key) && key.value === name) : undefined
  const [key, value] = [pair?.key, pair?.value].map((part) => (isNode(part) ? part.range : undefined))
  if (!key || !value) throw new Error(`a template has no ${[...path, name].join('.')}`)
  return { key, value }
}

/** The model of most boards stands at the top, each other one with its node. */
function nodePlaces(document: Document, nodes: readonly { name: string; model: Model }[]): Splice[] {
  const usual = commonest(nodes.map(({ model }) => model))
  const lines = nodes.map(({ name, model }) => `${name}: ${model === usual ? '{}' : `{ model: ${model} }`}\n`)
  const model = pairAt(document, [], 'model').value
  const { value } = pairAt(document, [], 'nodes')
  return [
    { start: model[0], end: model[1], value: usual },
    { start: value[0], end: value[2], value: lines.join('  ') },
  ]
}

function commonest(models: readonly Model[]): Model {
  const count = (model: Model) => models.filter((other) => other === model).length
  return models.reduce((best, model) => (count(model) > count(best) ? model : best))
}

/** Where editors find the schema: in the nearest piimage installed above `folder`, as a path from there; else in this one. */
export function schemaPath(folder: string): string {
  const file = 'node_modules/piimage/schema/cluster.v1.json'
  for (let at = folder, up = './'; ; at = dirname(at), up = up === './' ? '../' : `${up}../`) {
    if (existsSync(join(at, file))) return `${up}${file}`
    if (dirname(at) === at) break
  }
  return pathToFileURL(join(packageRoot(), 'schema', 'cluster.v1.json')).href
}

/** Every map `wifi:` of the file. */
function wifiPaths(document: Document): string[][] {
  const below = ['groups', 'nodes'].flatMap((key) => {
    const map = document.get(key)
    return isMap(map) ? map.items.map((item) => [key, String(item.key), 'wifi']) : []
  })
  return [['wifi'], ...below].filter((path) => isMap(document.getIn(path)))
}

/** Plain where YAML reads it back as the same text, also inside brackets; else quoted. */
function formatScalar(value: string): string {
  const plain = /^[A-Za-z0-9_~./][A-Za-z0-9_~./@+=-]*( [A-Za-z0-9_~./@+=-]+)*$/.test(value)
  return plain && value !== '~' && parse(value) === value ? value : JSON.stringify(value)
}
