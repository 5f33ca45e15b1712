/** An example as a person would have it: made by init, its images tiny stand-ins of the same layout. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { parseImageName, parseKey } from '../../src/catalog/names.ts'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import type { Cluster } from '../../src/cluster/node.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { FormatError } from '../../src/errors.ts'
import { features } from '../../src/features/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { detectSystem } from '../../src/systems/detect.ts'
import { stock, stockBoot } from '../customise/stock.ts'
import { standInProgram } from '../support/program.ts'
import { DEMO_LAYOUT, runPiimage, type Said } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'

export interface Example {
  name: string
  /** The boot partition its image has, by its name among the stock ones. */
  boot: string
  family: string
}

export const examples: readonly Example[] = [
  { name: 'basic', boot: 'trixie', family: 'raspios' },
  { name: 'clusterhat', boot: 'clusterctrl-bookworm', family: 'clusterctrl' },
  { name: 'hypriot-k8s', boot: 'trixie', family: 'raspios' },
  { name: 'feeder-diskless', boot: 'bookworm', family: 'raspios' },
  { name: 'magi', boot: 'trixie', family: 'raspios' },
  { name: 'mixed-arch', boot: 'clusterctrl-buster', family: 'clusterctrl' },
]

export interface ExampleProject {
  cluster: Cluster
  file(name: string): string
  piimage(...args: string[]): Promise<Said>
}

/** The example's folder, by init; no images yet. */
export async function startExample(t: TestContext, { name }: Example): Promise<ExampleProject> {
  const folder = tempFolder(t)
  const file = (path: string) => join(folder, path)
  mkdirSync(file('.ssh'))
  const { publicLine } = makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop')
  writeFileSync(file('.ssh/id_ed25519.pub'), `${publicLine}\n`)
  writeFileSync(file('wifi.passphrase'), 'eight or more\n', { mode: 0o600 })
  writeFileSync(file('cluster.key'), `${createHash('sha256').update(name).digest('hex')}\n`, { mode: 0o600 })
  // What two of them say to fetch first.
  writeFileSync(file('kube-flannel.yml'), 'kube-flannel.yml\n')
  writeFileSync(file('k3s-arm64'), standInProgram('v1.33.4+k3s1'))
  const made = await runPiimage(folder, ['init', '--template', name, '--yes', '--wifi', 'attic'])
  if (made.status !== 0) throw new Error(made.stderr)
  return {
    cluster: await readCluster(file('cluster.yaml'), { features, home: folder }),
    file,
    piimage: (...args) => runPiimage(folder, [...args, '--cache', file('cache'), '--offline']),
  }
}

/** Overlays and systems that this piimage does not have. */
export async function missingFor(cluster: Cluster, { boot, family }: Example): Promise<string[]> {
  const overlays = await readOverlays([join(packageRoot(), 'overlays')])
  const used = new Set(cluster.nodes.flatMap((node) => node.overlays.map((overlay) => overlay.name)))
  const missing = [...used].filter((name) => !overlays.has(name)).map((name) => `overlay ${name}`)
  try {
    if (stock[boot] === undefined || (await detectSystem(stockBoot(boot))).family.name !== family)
      missing.push(`system ${family}`)
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    missing.push(`system ${family}`)
  }
  return missing
}

/** A lock beside the cluster file, in which every image it names is a small file of the right layout. */
export async function lockStandIns({ cluster, file }: ExampleProject, { boot }: Example): Promise<void> {
  const images: Record<string, unknown> = {}
  for (const key of new Set(cluster.nodes.map(({ image }) => image))) {
    const name = `${key.replaceAll(/[^a-z0-9]/g, '-')}.img`
    const bytes = await makeImage(file, boot)
    writeFileSync(file(name), bytes)
    const about = parseKey(key) ?? parseImageName(`${key.replace('@', '-')}.img`)
    if (about === undefined) throw new Error(`${key} is no key of an image we know`)
    const source = { kind: 'computed', detail: 'made by a test', checked: '2026-01-01' }
    images[key] = {
      ...about,
      url: `file:${name}`,
      format: 'img',
      download: { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex'), source },
      extracted: null,
    }
  }
  writeFileSync(file('images.lock.json'), JSON.stringify({ lockfileVersion: 1, images }))
}

/** The demo image with another system's boot partition in it. */
async function makeImage(file: (name: string) => string, boot: string): Promise<Buffer> {
  const demo = join(packageRoot(), 'examples', 'demo', 'demo.img.xz')
  const unpacked = run('sh', ['-c', `xz -dc '${demo}' > '${file('demo.img')}'`])
  if (unpacked.status !== 0) throw new Error(unpacked.stderr)
  const image = readFileSync(file('demo.img'))
  const { offset, length } = DEMO_LAYOUT.boot
  const part = image.subarray(offset, offset + length)
  const volume = await FatVolume.open({
    length,
    read: async (at, count) => Uint8Array.from(part.subarray(at, at + count)),
    write: async (at, bytes) => part.set(bytes, at),
  })
  const modified = new Date(Date.UTC(2025, 0, 1))
  for (const { name, isDirectory } of await volume.list('')) if (!isDirectory) await volume.remove(name)
  for (const [path, bytes] of stock[boot] ?? []) await volume.writeFile(path, bytes, { modified })
  return image
}
