/** A made-up machine for cluster files: its lock, its overlays and the files beside the cluster file. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseKey } from '../../src/catalog/names.ts'
import { type ParsedCluster, parseCluster } from '../../src/cluster/cluster-file.ts'
import type { LocalFile, ParseOptions } from '../../src/cluster/judge.ts'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { features } from '../../src/features/index.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { testKey } from '../secrets/support.ts'

export const publicLine = makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop').publicLine

export const imageKeys = [
  'clusterctrl-buster-armhf-lite-cnat@2020-12-02-1',
  'clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-1',
  'hypriotos-rpi64@v20180429-184538',
  'raspios-bookworm-arm64-lite@2025-05-13',
  'raspios-bookworm-armhf-lite@2025-05-13',
  'raspios-bullseye-armhf-lite@2023-05-03',
  'raspios-buster-armhf-lite@2021-05-07',
  'raspbian-stretch-armhf-lite@2018-11-13',
  'raspios-trixie-arm64-lite@2026-09-15',
  'ubuntu-noble-armhf-server@24.04.1',
]

const files: Record<string, LocalFile> = {
  '/c/keys/id_ed25519.pub': { text: `${publicLine}\r\n`, mode: 0o644 },
  '/home/me/.ssh/id_ed25519.pub': { text: publicLine, mode: 0o644 },
  '/c/keys/id_ed25519': { text: '-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n', mode: 0o600 },
  '/c/keys/broken.pub': { text: `# mine\n${publicLine}\nssh-ed25519 AAAAhalf\n`, mode: 0o644 },
  '/c/keys/empty.pub': { text: '\n', mode: 0o644 },
  '/c/pi.password': { text: `-p$(id)'"%\\ ü\r\nsecond line\n`, mode: 0o600 },
  '/c/open.password': { text: 'hunter2hunter2\n', mode: 0o644 },
  '/c/empty.password': { text: '\nhunter2\n', mode: 0o600 },
  '/c/wifi.passphrase': { text: 'eight or more\n', mode: 0o600 },
  '/c/short.passphrase': { text: 'hunter2\n', mode: 0o600 },
}

export const options: ParseOptions = {
  features,
  folder: '/c',
  home: '/home/me',
  readLocal(path) {
    const file = Object.hasOwn(files, path) ? files[path] : undefined
    if (file === undefined)
      throw Object.assign(new Error(path), { code: path.endsWith('/') ? 'EISDIR' : 'ENOENT' })
    return file
  },
  key: testKey,
  imageKeys,
  imageOf: (key) => parseKey(key),
  overlayNames: [...features.map(({ name }) => name), 'my-own'],
}

export const parse = (text: string, over: Partial<ParseOptions> = {}): Promise<ParsedCluster> =>
  parseCluster(text, 'cluster.yaml', { ...options, ...over })

/** A cluster that must be right. */
export async function parseRight(text: string, over: Partial<ParseOptions> = {}): Promise<Cluster> {
  const { cluster, mistakes } = await parse(text, over)
  if (cluster === undefined) throw new Error(formatMistakes(mistakes))
  return cluster
}

export const formatMistakes = (mistakes: ParsedCluster['mistakes']): string =>
  mistakes.map(({ line, column, message, hint }) => `${line}:${column}: ${message} (${hint})`).join('\n')

/** The examples that ship; `chappa-ai` is one more, with much in it that they leave out. */
export const storyNames = ['chappa-ai', 'clusterhat', 'hypriot-k8s', 'feeder-diskless', 'magi', 'mixed-arch']

// Compiled tests run from build/; what lies beside them in git does not.
const top = new URL('../../../', import.meta.url)
export const readStory = (name: string): string =>
  readFileSync(
    fileURLToPath(
      new URL(
        name === 'chappa-ai' ? 'test/cluster/fixtures/chappa-ai.yaml' : `examples/${name}/cluster.yaml`,
        top,
      ),
    ),
    'utf8',
  )

/** The start of a cluster file that lacks only its nodes. */
export const head = 'cluster: sgc\nimage: raspios-bookworm-arm64-lite@2025-05-13\n'

export const nodeOf = (cluster: Cluster, name: string): Node => {
  const node = cluster.nodes.find((one) => one.name === name)
  assert.ok(node, `no node ${name}`)
  return node
}
export const overlaysOf = (node: Node): string => node.overlays.map(({ name }) => name).join(' ')
export const networkOf = (node: Node): string[] =>
  node.interfaces.map(({ name, address, dns }) =>
    [
      name,
      address === undefined ? 'dhcp' : `${address.ip}/${address.prefix}`,
      address?.gateway ?? '-',
      ...dns,
    ].join(' '),
  )
