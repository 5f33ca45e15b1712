/** Cluster files on small stand-ins for the images they name, and piimage run on them. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { packageRoot } from '../../src/package-root.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { stock } from '../customise/stock.ts'
import { standInProgram } from '../support/program.ts'
import { runPiimage, type Said } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { type Digests, digestCard, digestDryRun, digestTar, sha256 } from './golden.ts'

export interface GoldenProject {
  folder: string
  file(name: string): string
  piimage(...args: string[]): Promise<Said>
}

/** A folder with a key, and with the files that the examples' comments say to fetch. */
export function goldenProject(t: TestContext, seed: string): GoldenProject {
  // A cluster is called by its folder, unless told otherwise.
  const folder = join(tempFolder(t), 'golden')
  const file = (name: string) => join(folder, name)
  mkdirSync(file('.ssh'), { recursive: true })
  const { publicLine } = makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop')
  writeFileSync(file('.ssh/id_ed25519.pub'), `${publicLine}\n`)
  writeFileSync(file('wifi.passphrase'), 'eight or more\n', { mode: 0o600 })
  writeFileSync(file('cluster.key'), `${sha256(seed)}\n`, { mode: 0o600 })
  writeFileSync(file('kube-flannel.yml'), 'kube-flannel.yml\n')
  writeFileSync(file('k3s-arm64'), standInProgram('v1.33.4+k3s1'))
  return {
    folder,
    file,
    async piimage(...args) {
      const said = await runPiimage(folder, [...args, '--cache', file('cache'), '--offline'])
      assert.equal(said.status, 0, `${args.join(' ')}: ${said.stderr}`)
      return said
    },
  }
}

export interface StandIn {
  /** Its boot partition's files, by their name among the stock ones. */
  boot: string
  /** What else is on it, by its name in ./fixtures/stand-ins. */
  root: 'ifupdown' | 'dhcpcd' | 'networkmanager'
}

const MiB = 1024 * 1024
/** Of every stand-in (./stand-ins.gen.sh), bytes. */
const bootPart = { offset: MiB, length: 12 * MiB }

export async function makeStandIn({ boot, root }: StandIn): Promise<Buffer> {
  const image = gunzipSync(
    readFileSync(join(packageRoot(), 'test/golden/fixtures/stand-ins', `${root}.img.gz`)),
  )
  const part = image.subarray(bootPart.offset, bootPart.offset + bootPart.length)
  const volume = await FatVolume.open({
    length: part.length,
    read: async (at, count) => Uint8Array.from(part.subarray(at, at + count)),
    write: async (at, bytes) => part.set(bytes, at),
  })
  const modified = new Date(Date.UTC(2025, 0, 1))
  for (const [path, bytes] of stock[boot] ?? assert.fail(boot))
    await volume.writeFile(path, bytes, { modified })
  return image
}

/** One entry of a lock, for an image that lies beside it. */
export function lockEntry(about: object, name: string, bytes: Buffer): object {
  return {
    ...about,
    url: `file:${name}`,
    format: 'img',
    download: {
      size: bytes.length,
      sha256: sha256(bytes),
      source: { kind: 'computed', checked: '2026-01-01' },
    },
    extracted: null,
  }
}

export const writeLock = ({ file }: GoldenProject, images: Record<string, object>): void =>
  writeFileSync(file('images.lock.json'), JSON.stringify({ lockfileVersion: 1, images }))

/** Every node that boots from a card. @param part where the boot partition of their image lies */
export async function digestCards(
  { file, piimage }: GoldenProject,
  part: { offset: number; length: number } = bootPart,
): Promise<Digests> {
  const { events } = await piimage('bake', '--all', '-o', file('out'), '--json')
  const digests: Digests = {}
  for (const { event, node } of events) {
    if (event !== 'baked') continue
    const name = String(node)
    const image = readFileSync(file(`out/${name}.img`))
    Object.assign(digests, { [`${name}.img`]: sha256(image) }, await digestCard(image, name, part))
  }
  return digests
}

/** Nodes that boot over the network: both trees of each, and what a server gets to serve them all. */
export async function digestNetroot(project: GoldenProject, nodes: readonly string[]): Promise<Digests> {
  const { file, piimage } = project
  const digests: Digests = {}
  for (const node of nodes) {
    await piimage('netroot', '--node', node, '--tar', file('node.tar'), '--prefix', file('server'))
    Object.assign(digests, await digestTar(readFileSync(file('node.tar')), node))
  }
  for (const mode of ['copy', 'shared']) {
    const dry = await piimage('netroot', '--dry-run', '--root-mode', mode, '--prefix', file('server'))
    Object.assign(digests, digestDryRun(dry.stdout, `server (${mode})`))
  }
  return digests
}
