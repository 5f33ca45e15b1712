/** The picture of the house, kept true: which room may import which. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../src/package-root.ts'

const source = join(packageRoot(), 'src')

/** Room → the rooms it may import. Files directly in src/ are the shared words; every room may use them. */
const arrows: Record<string, readonly string[]> = {
  bake: ['disk', 'io', 'cluster'],
  boot: ['firmware'],
  catalog: ['io', 'fetch'],
  cluster: ['io', 'secrets'],
  commands: [
    'bake',
    'catalog',
    'cluster',
    'customise',
    'disk',
    'drives',
    'export',
    'features',
    'fetch',
    'flash',
    'io',
    'netroot',
    'rehearsal',
    'report',
    'secrets',
    'servers',
    'station',
    'systems',
    'tree',
    'unpack',
    'work',
  ],
  customise: [
    'boot',
    'catalog',
    'cluster',
    'disk',
    'features',
    'firmware',
    'io',
    'node',
    'root',
    'secrets',
    'systems',
  ],
  disk: [],
  drives: ['io'],
  emulator: ['cluster', 'disk', 'io'],
  export: ['cluster', 'io', 'secrets'],
  features: ['cluster', 'secrets'],
  fetch: ['catalog', 'io'],
  firmware: ['cluster'],
  flash: ['disk', 'drives', 'io'],
  io: ['disk'],
  netroot: ['boot', 'cluster', 'customise', 'disk', 'features', 'io', 'secrets', 'systems', 'tree'],
  node: ['boot', 'cluster', 'secrets'],
  rehearsal: ['boot', 'cluster', 'disk', 'firmware', 'io', 'netroot', 'root'],
  report: [],
  root: ['disk'],
  secrets: ['io'],
  servers: ['cluster', 'io', 'netroot'],
  station: ['cluster', 'customise', 'drives', 'secrets', 'work'],
  systems: ['boot', 'cluster', 'firmware', 'node', 'root'],
  tree: ['disk', 'io', 'unpack'],
  unpack: ['disk', 'io'],
  work: [
    'bake',
    'boot',
    'catalog',
    'cluster',
    'customise',
    'disk',
    'drives',
    'emulator',
    'export',
    'features',
    'fetch',
    'firmware',
    'flash',
    'io',
    'netroot',
    'node',
    'rehearsal',
    'root',
    'secrets',
    'servers',
    'systems',
    'unpack',
  ],
}

/** Files at the top that join rooms; the others there import none. */
const joints = new Set(['cli.ts', 'index.ts'])

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)

const roomOf = (file: string): string | undefined =>
  file.includes('/') ? file.slice(0, file.indexOf('/')) : undefined

test('every arrow between rooms is in the picture', () => {
  const wrong: string[] = []
  for (const file of files) {
    const room = roomOf(file)
    const text = readFileSync(join(source, file), 'utf8')
    for (const [, target] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
      const imported = relative(source, join(source, dirname(file), target as string))
      const to = roomOf(imported)
      if (to === undefined || to === room || joints.has(file)) continue
      if (room === undefined || !(arrows[room] ?? []).includes(to)) wrong.push(`${file} imports ${imported}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('every room is in the picture', () => {
  const rooms = new Set(files.map(roomOf).filter((room) => room !== undefined))
  assert.deepEqual([...rooms].sort(), Object.keys(arrows).sort())
})

test('disk opens no file, and only the outside touches the process', () => {
  for (const file of files) {
    const text = readFileSync(join(source, file), 'utf8')
    if (file.startsWith('disk/')) assert.doesNotMatch(text, /node:fs|node:child_process/, file)
    if (!['cli.ts', 'world.ts'].includes(file))
      assert.doesNotMatch(text, /process\.(exit\b|stdout|stderr)/, file)
  }
})

test('no room writes a plan down as a promise', () => {
  for (const file of files)
    assert.doesNotMatch(readFileSync(join(source, file), 'utf8'), /TODO|FIXME|XXX/, file)
})
