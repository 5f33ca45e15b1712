/**
 * Every text of a cluster file, and every parameter of an overlay, replaced by
 * one that some format gives a meaning to: it is refused with its place, or it
 * comes out of the format's own reader as it went in, and nothing else changes.
 *
 * Judges: sh for node.env, PyYAML's dialect (YAML 1.1) for cloud-init's files,
 * key files by their sections. The same plan with the harmless value is what it
 * is compared with: no key, line, section or setting more or less.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse as parseYaml, stringify } from 'yaml'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { type BootPlan, planBoot } from '../../src/customise/plan-boot.ts'
import { PiimageError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { parse } from '../cluster/support.ts'
import { figure } from '../support/figures.ts'
import { standInProgram } from '../support/program.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { keys, makeCluster, makeNode, use } from './cluster.ts'
import { nasty } from './nasty.ts'
import { stockBoot } from './stock.ts'

const values = [
  ...nasty,
  'a\nb',
  'a\r\nb',
  'a\0b',
  '\u001b[31m',
  '\u202eabc',
  '../x',
  '/nonexistent',
  'yes',
  '0x1',
  'https://a.example/$(id)`id`',
  'https://a.example/"\';|&#\\n',
]

/** A cluster file, and the boot partition that its nodes' images have. */
const clusters = [
  { name: 'clusterhat', boot: 'clusterctrl-bookworm' },
  { name: 'hypriot-k8s', boot: 'trixie' },
  { name: 'feeder-diskless', boot: 'bookworm' },
  { name: 'magi', boot: 'trixie' },
  { name: 'mixed-arch', boot: 'clusterctrl-buster' },
] as const

type Path = readonly (string | number)[]

/** Where texts are in a tree of maps and lists. */
function textsIn(tree: unknown, at: Path = []): { path: Path; text: string }[] {
  if (typeof tree === 'string') return [{ path: at, text: tree }]
  if (tree === null || typeof tree !== 'object') return []
  return Object.entries(tree).flatMap(([key, value]) =>
    textsIn(value, [...at, Array.isArray(tree) ? Number(key) : key]),
  )
}

function withText(tree: unknown, path: Path, text: string): unknown {
  const copy = structuredClone(tree)
  let place = copy as Record<string | number, unknown>
  for (const key of path.slice(0, -1)) place = place[key] as Record<string | number, unknown>
  place[path.at(-1) as string | number] = text
  return copy
}

for (const { name, boot } of clusters) {
  test(`cluster file ${name}: a text with a meaning is refused, or stays a text`, async (t) => {
    if (needTool(t, 'dash', 'dash') === undefined) return
    const tree = parseYaml(readFileSync(join(packageRoot(), 'examples', name, 'cluster.yaml'), 'utf8'))
    const overlays = await shippedOverlays()
    const folder = tempFolder(t)
    writeFileSync(join(folder, 'kube-flannel.yml'), 'kube-flannel.yml')
    writeFileSync(join(folder, 'k3s-arm64'), standInProgram('v1.33.4+k3s1'))
    const parseIn = async (changed: unknown) => {
      const { cluster, mistakes } = await parse(stringify(changed))
      return { cluster: cluster === undefined ? undefined : { ...cluster, folder }, mistakes }
    }
    const before = (await parseIn(tree)).cluster
    assert.ok(before)
    const counts = { refused: 0, literal: 0 }
    for (const { path, text } of textsIn(tree)) {
      for (const value of values) {
        const { cluster, mistakes } = await parseIn(withText(tree, path, value))
        if (cluster === undefined) {
          assert.ok(
            mistakes.every(({ message }) => /^[^\p{Cc}]+$/u.test(message)),
            path.join('.'),
          )
          counts.refused += 1
        } else if (await staysText(t, { cluster: before, text }, { cluster, text: value }, boot, overlays)) {
          counts.literal += 1
        } else counts.refused += 1
      }
    }
    assert.ok(counts.refused > 1000 && counts.literal > 0, JSON.stringify(counts))
    figure(t, 'hostile values', counts.refused + counts.literal)
  })
}

test('an overlay’s parameter with a meaning is refused, or stays a text', async (t) => {
  if (needTool(t, 'dash', 'dash') === undefined) return
  const overlays = await shippedOverlays()
  const counts = { refused: 0, literal: 0 }
  for (const overlay of overlays.values()) {
    for (const [parameter, wrap] of textParameters(overlay)) {
      const sample = await harmless(overlay, parameter, wrap, overlays)
      for (const value of values) {
        const after = { cluster: clusterWith(overlay, { [parameter]: wrap(value) }), text: value }
        const literal =
          sample === undefined
            ? await isRefused(after.cluster, overlays)
            : await staysText(t, sample, after, 'trixie', overlays)
        counts[literal ? 'literal' : 'refused'] += 1
      }
    }
  }
  assert.ok(counts.refused > 500 && counts.literal > 0, JSON.stringify(counts))
  figure(t, 'hostile values', counts.refused + counts.literal)
})

/** One cluster, and the text in it that is being looked at. */
interface Sample {
  cluster: Cluster
  text: string
}

/**
 * Plans every kind of node of both clusters and compares.
 * @returns false: planning refused, as it may
 */
async function staysText(
  t: TestContext,
  before: Sample,
  after: Sample,
  boot: string,
  overlays: ReadonlyMap<string, Overlay>,
): Promise<boolean> {
  for (const index of kindsOf(before.cluster)) {
    const planned = await plan(after.cluster, index, boot, overlays)
    if (planned === undefined) return false
    const plain = await plan(before.cluster, index, boot, overlays)
    if (plain === undefined) continue
    compare(readPlan(t, plain), readPlan(t, planned), before.text, after.text)
  }
  return true
}

/** The head and a worker: the others differ in their names. */
const kindsOf = (cluster: Cluster): number[] => [...new Set([0, cluster.nodes.length - 1])]

async function plan(
  cluster: Cluster,
  index: number,
  boot: string,
  overlays: ReadonlyMap<string, Overlay>,
): Promise<BootPlan | undefined> {
  const node = cluster.nodes[index] as Node
  const arch = /arm64|rpi64/.test(node.image) ? 'arm64' : 'armhf'
  try {
    return await planBoot({
      cluster,
      node,
      image: { key: node.image, version: '2025-05-13', arch },
      boot: stockBoot(boot),
      overlays,
      keys,
    })
  } catch (error) {
    if (error instanceof PiimageError) return undefined
    throw error
  }
}

/** What the reader of each file sees in it: place → text. */
function readPlan(t: TestContext, { files }: BootPlan): Map<string, string> {
  const seen = new Map<string, string>()
  for (const { path, after } of files) {
    const text = Buffer.from(after ?? []).toString()
    for (const [place, value] of readFile(t, path, text)) seen.set(`${path} ${place}`, value)
  }
  return seen
}

function readFile(t: TestContext, path: string, text: string): Iterable<[string, string]> {
  if (path.endsWith('node.env')) return readEnv(t, text)
  if (text.startsWith('{')) return leaves(JSON.parse(text))
  if (/(^|\/)(user-data|network-config|meta-data)$/.test(path))
    return leaves(parseYaml(text, { version: '1.1' }))
  if (path.endsWith('.nmconnection')) return readKeyFile(text)
  return text.split('\n').map((line, index): [string, string] => [`line ${index + 1}`, line])
}

/** As sh reads it: in its environment, and nowhere else. */
function readEnv(t: TestContext, text: string): [string, string][] {
  const file = join(tempFolder(t), 'node.env')
  writeFileSync(file, text)
  const said = run('env', ['-i', 'dash', '-euc', 'set -a; . "$1"; exec env -0', 'sh', file])
  assert.equal(said.status, 0, said.stderr)
  return said.stdout
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
}

/** GLib's key files: sections, keys, values with escapes. */
function readKeyFile(text: string): [string, string][] {
  let section = ''
  const found: [string, string][] = []
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, title] = /^\[([^[\]]+)\]$/.exec(line) ?? []
    if (title !== undefined) {
      section = title
      continue
    }
    const equals = line.indexOf('=')
    assert.ok(equals > 0, line)
    const escapes: Record<string, string> = { s: ' ', n: '\n', t: '\t', r: '\r', '\\': '\\' }
    const value = line.slice(equals + 1).replaceAll(/\\(.)/g, (whole, letter) => escapes[letter] ?? whole)
    found.push([`${section}.${line.slice(0, equals)}`, value])
  }
  return found
}

const leaves = (tree: unknown): [string, string][] =>
  tree !== null && typeof tree === 'object'
    ? Object.entries(tree).flatMap(([key, value]) =>
        leaves(value).map(([place, text]): [string, string] => [`${key}.${place}`, text]),
      )
    : [['', `${typeof tree} ${tree}`]]

/** Derived from the whole of the plan, or from a name in it. */
const DERIVED = /[0-9a-f]{8}|AAAA|BEGIN [A-Z ]*KEY|^\S{40,}$/

function compare(
  before: Map<string, string>,
  after: Map<string, string>,
  oldText: string,
  newText: string,
): void {
  // A word can only be the name of something else, such as another interface.
  const isWord = /^[a-z0-9]+$/i.test(newText)
  const renamed = (place: string): string =>
    place
      .split('.')
      .map((part) => (part === oldText ? newText : part))
      .join('.')
  const places = [...before.keys()].map(renamed)
  if (!isWord) assert.deepEqual([...after.keys()].sort(), places.sort(), JSON.stringify(newText))
  for (const [place, old] of before) {
    const now = after.get(renamed(place))
    if (now === undefined || now === old || now === old.replaceAll(oldText, newText)) continue
    assert.ok(DERIVED.test(old) && DERIVED.test(now), `${place}: ${JSON.stringify([old, now, newText])}`)
  }
}

const shippedOverlays = (): Promise<Map<string, Overlay>> => readOverlays([join(packageRoot(), 'overlays')])

/** Parameters that take a text, or a list of texts. */
function textParameters({ parameters }: Overlay): [string, (text: string) => unknown][] {
  return Object.entries(parameters).flatMap(([name, schema]): [string, (text: string) => unknown][] => {
    if (schema.type === 'string') return [[name, (text) => text]]
    if (schema.type === 'array') return [[name, (text) => [text]]]
    return []
  })
}

/** A head that uses the overlay, and what the overlay builds on. */
function clusterWith(overlay: Overlay, parameters: Record<string, unknown>): Cluster {
  const others = ['hostname', 'user', 'ssh', 'static-network', ...overlay.requires]
  const names = [...new Set(others)].filter((name) => name !== overlay.name)
  const overlays = [...names.map((name) => use(name)), use(overlay.name, parameters)]
  const node = makeNode({ overlays, role: 'head', router: { uplink: 'wlan0', lan: 'eth0' } })
  return makeCluster([node], { join: { kind: 'swarm', by: 'pull', head: node.name } })
}

const HARMLESS = [
  'plain',
  'v1.34',
  'https://mirror.example/path',
  '172.29.0.0/16',
  'v1.33.4+k3s1',
  '9DC858229FC7DD38854AE2D88D81803C0EBFCD88',
  '64',
]

/** A value that the parameter takes; undefined: it takes none of these, so it names a file. */
async function harmless(
  overlay: Overlay,
  parameter: string,
  wrap: (text: string) => unknown,
  overlays: ReadonlyMap<string, Overlay>,
): Promise<Sample | undefined> {
  for (const text of HARMLESS) {
    const cluster = clusterWith(overlay, { [parameter]: wrap(text) })
    if ((await plan(cluster, 0, 'trixie', overlays)) !== undefined) return { cluster, text }
  }
  return undefined
}

/** Names of files that aren't there. @returns false, or throws: never accepted */
async function isRefused(cluster: Cluster, overlays: ReadonlyMap<string, Overlay>): Promise<boolean> {
  const planned = await plan(cluster, 0, 'trixie', overlays)
  assert.equal(planned, undefined, JSON.stringify(cluster.nodes[0]?.overlays.at(-1)))
  return false
}
