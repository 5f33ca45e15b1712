import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { boards } from '../../src/cluster/boards.ts'
import { joinKinds } from '../../src/cluster/feature.ts'
import type { ClusterFile, NodeSettings } from '../../src/cluster/file-shape.ts'
import { formats } from '../../src/cluster/formats.ts'
import { rootModeWords } from '../../src/cluster/root-modes.ts'
import { features } from '../../src/features/index.ts'
import { formatMistakes, parse } from './support.ts'

interface Part {
  title?: string
  description?: string
  type?: string | string[]
  format?: string
  examples?: unknown[]
  enum?: string[]
  properties?: Record<string, Part>
  additionalProperties?: Part | boolean
  items?: Part
  propertyNames?: Part
  $ref?: string
  $defs?: Record<string, Part>
}

const schema = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../../schema/cluster.v1.json', import.meta.url)), 'utf8'),
) as Part

const deref = (part: Part): Part =>
  part.$ref === undefined ? part : (schema.$defs?.[part.$ref.split('/').at(-1) ?? ''] ?? {})

function* walk(part: Part, path: string): Generator<[path: string, part: Part]> {
  yield [path, part]
  for (const [key, child] of Object.entries(part.properties ?? {})) yield* walk(child, `${path}.${key}`)
  for (const [key, child] of Object.entries(part.$defs ?? {})) yield* walk(child, `#${key}`)
  if (part.items !== undefined) yield* walk(part.items, `${path}[]`)
  if (part.propertyNames !== undefined) yield* walk(part.propertyNames, `${path}<key>`)
  if (typeof part.additionalProperties === 'object') yield* walk(part.additionalProperties, `${path}.*`)
}

// Every key there is, once; the compiler checks it against the types, the tests against the schema.
const everyNodeKey = {
  model: 'pi4',
  image: 'raspios-bookworm-arm64-lite@2025-05-13',
  os: 'raspios',
  boot: 'card',
  storage: '8G',
  user: { name: 'ops', sshKeys: ['keys/id_ed25519.pub'], passwordFile: 'pi.password', sudoPassword: true },
  users: [{ name: 'sam', sudo: true, groups: ['gpio'], shell: '/bin/sh' }],
  wifi: { ssid: 'attic', passphraseFile: 'wifi.passphrase', country: 'DE', hidden: true },
  locale: { timezone: 'Europe/Berlin', keymap: 'de', locale: 'de_DE.UTF-8' },
  overlays: ['ssh', { 'gpu-mem': { megabytes: 16 } }, { docker: false }],
  labels: { arch: 'arm64' },
  role: 'head',
  interface: 'eth0',
  gateway: '10.3.50.254',
  dns: ['10.3.50.254'],
  group: 'first',
  groups: ['second'],
  address: '10.3.50.1/24',
  interfaces: {
    eth1: { address: '192.168.0.2/24', gateway: '192.168.0.1', dns: ['192.168.0.1'], domain: 'lan' },
  },
  mac: 'b8:27:eb:d3:85:78',
  serial: '10000000d3d38578',
  router: { uplink: 'eth1', lan: 'eth0' },
} satisfies NodeSettings

const everyKey = {
  $schema: './schema/cluster.v1.json',
  cluster: 'sgc',
  network: {
    cidr: '10.3.50.0/24',
    gateway: '10.3.50.254',
    dns: ['10.3.50.254'],
    domain: 'sgc.lan',
    interface: 'eth0',
    dhcp: { from: '10.3.50.100', to: '10.3.50.199', lease: '1h' },
  },
  join: { kind: 'none', head: 'oneil', by: 'ssh-push' },
  netroot: { server: 'oneil', layout: 'serial', root: 'overlay' },
  groups: { first: {}, second: {} },
  nodes: { oneil: everyNodeKey },
} satisfies ClusterFile

test('a file with every key is right, and JSON is YAML', async () => {
  const { mistakes } = await parse(JSON.stringify(everyKey, null, 2))
  assert.equal(formatMistakes(mistakes), '')
})

test('schema and types name the same keys', () => {
  const node = schema.$defs?.node?.properties ?? {}
  // clusterhat excludes a router's own addresses, so the sample above has none.
  assert.deepEqual(Object.keys(node).sort(), [...Object.keys(everyNodeKey), 'clusterhat'].sort())
  const shared = [
    'model',
    'image',
    'os',
    'boot',
    'storage',
    'user',
    'users',
    'wifi',
    'locale',
    'overlays',
    'labels',
  ]
  assert.deepEqual(Object.keys(schema.properties ?? {}).sort(), [...Object.keys(everyKey), ...shared].sort())
  for (const key of ['network', 'join', 'netroot'] as const)
    assert.deepEqual(
      Object.keys(schema.properties?.[key]?.properties ?? {}).sort(),
      Object.keys(everyKey[key]).sort(),
      key,
    )
})

test('schema and table name the same models', () => {
  assert.deepEqual(schema.$defs?.model?.enum, Object.keys(boards))
})

test('schema and features name the same kinds of clusters', () => {
  assert.deepEqual(schema.properties?.join?.properties?.kind?.enum, [...joinKinds(features), 'none'])
})

test('schema and table name the same root modes', () => {
  assert.deepEqual(schema.properties?.netroot?.properties?.root?.enum, rootModeWords)
})

test('every format of the schema is checked, and every checked format is in the schema', () => {
  const used = new Set([...walk(schema, '')].flatMap(([, part]) => part.format ?? []))
  assert.deepEqual([...used].sort(), Object.keys(formats).sort())
})

test('an editor can show every key: title and description', () => {
  for (const [path, part] of walk(schema, '')) {
    const { title, description } = deref(part)
    assert.ok(title, `${path} has no title`)
    if (part.properties !== undefined) assert.ok(description, `${path} has no description`)
  }
})

test('every example of the schema is right', () => {
  for (const [path, part] of walk(schema, ''))
    for (const example of part.examples ?? [])
      if (part.format !== undefined && typeof example === 'string')
        assert.equal(formats[part.format]?.(example), undefined, `${path}: ${example}`)
})

test('deep nesting is refused, not fatal', async () => {
  for (const text of ['['.repeat(20000), '{a: '.repeat(20000), '- '.repeat(20000)]) {
    const { mistakes } = await parse(text)
    assert.ok(mistakes.length > 0)
  }
})
