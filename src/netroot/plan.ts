/**
 * Cluster + images + what is there already → everything that a netboot server
 * lays out. Nothing is written and nothing is asked here; `layOut`
 * (./lay-out.ts) makes it so, and `--dry-run` prints it (./describe.ts).
 */

import { boards } from '../cluster/boards.ts'
import { netmaskOf } from '../cluster/ipv4.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { isReadOnly, type RootMode } from '../cluster/root-modes.ts'
import type { ServedPlan } from '../customise/plan-served.ts'
import { UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { firstBootEdits } from '../systems/root/first-boot.ts'
import type { Identity } from '../systems/root/identity.ts'
import type { RootEdit } from '../systems/root/root-edit.ts'
import type { RootSnapshot } from '../systems/root/root-snapshot.ts'
import { type BootTree, netbootConfig, planBootTree } from './boot-tree.ts'
import { netbootCmdline } from './cmdline.ts'
import { digestOfEdits, type EditionRecord, editionRecord, type IsolatedEdition } from './edition.ts'
import { withExports } from './node-exports.ts'
import { generationFolder, tftpFolder, volumeImage } from './paths.ts'
import type { ImageMount, ServedCluster, ServedNode } from './served.ts'
import { type TftpNames, tftpNames } from './tftp-names.ts'
import { volumeEdits } from './volume.ts'
import { type Wire, wireOf } from './wire.ts'

/** Part of every generation's name: another layout of the same image is another generation. */
const LAYOUT = '2'

/** An image, as far as the plan depends on it. */
export interface ImageInput {
  /** In images.lock.json. */
  key: string
  /** Of its raw bytes. */
  sha256: string
  root: RootSnapshot
}

export interface NodeInput {
  node: Node
  image: ImageInput
  system: ServedPlan
  identity: Identity
}

export interface NetrootRequest {
  cluster: Cluster
  stateFolder: string
  server: ServedCluster['server']
  rootMode: RootMode
  nodes: readonly NodeInput[]
  /** Editions that stay: the next ones to start from, or still running. Oldest first. */
  earlier: ReadonlyMap<string, readonly EditionRecord[]>
  /** Nodes that were laid out before and are not asked for now: they stay as they are. */
  others: readonly ServedNode[]
}

export interface GenerationPlan {
  id: string
  image: string
  sha256: string
  folder: string
}

export interface NodePlan {
  served: ServedNode
  record: IsolatedEdition
  boot: BootTree
  root: RootEdit[]
  volume?: ImageMount & { bytes: number }
  /** Everything secret that its root holds. */
  secrets: string[]
  warnings: string[]
}

export interface NetrootPlan {
  served: ServedCluster
  generations: GenerationPlan[]
  nodes: NodePlan[]
  /** The generation whose bootcode.bin boards with a boot ROM get, if any is such a board. */
  bootcode?: string
}

/** @throws {UsageError} what the cluster file lacks for this */
export function planNetroot(request: NetrootRequest): NetrootPlan {
  const { cluster, stateFolder, server, others } = request
  if (cluster.network === undefined)
    throw new UsageError(`${cluster.file} has no network`, {
      hint: 'Diskless nodes need one: network: { cidr: 10.3.50.0/24 }',
    })
  checkStateFolder(stateFolder)
  const nodes = request.nodes.map((input) => planOne(input, request))
  const generations = new Map(nodes.map(({ generation }) => [generation.id, generation]))
  const all = inFileOrder(cluster, [...nodes.map(({ plan }) => plan.served), ...others])
  const rom = all.find(({ model, usbSlot }) => usbSlot === undefined && usesBootcode(model))
  return {
    served: {
      cluster: cluster.name,
      stateFolder,
      tftpRoot: tftpFolder(stateFolder),
      server,
      network: cluster.network,
      nodes: all,
    },
    generations: [...generations.values()],
    nodes: nodes.map(({ plan }) => plan),
    bootcode: rom?.generation,
  }
}

/** Boards without an EEPROM start with a file from the top of the TFTP tree. */
const usesBootcode = (model: Node['model']): boolean => !boards[model].eeprom

/** What a mount option, an export or a link could misread. */
function checkStateFolder(path: string): void {
  if (/^(\/[A-Za-z0-9._-]+)+$/.test(path) && !/(^|\/)\.\.?(\/|$)/.test(path)) return
  throw new UsageError(`${path} can't be a state folder`, {
    hint: 'An absolute path of letters, digits, dots, dashes and underscores: /srv/piimage/NAME',
  })
}

/** Layers of containers can't lie on NFS: overlayfs refuses it, and k3s and the kubelet do not start. */
function checkStorage({ name, overlays, storageBytes }: Node): void {
  if (storageBytes !== undefined) return
  const needy = overlays.find(({ name: overlay }) =>
    features.some((feature) => feature.name === overlay && feature.storage !== undefined),
  )
  if (needy !== undefined)
    throw new UsageError(
      `${name} gets ${needy.name} and has no storage: containers can't keep their layers on NFS`,
      {
        hint: `Give it some, in the cluster file: storage: 8G`,
      },
    )
}

function planOne(input: NodeInput, request: NetrootRequest): { plan: NodePlan; generation: GenerationPlan } {
  const { node, image, system, identity } = input
  const { cluster, stateFolder, server, rootMode } = request
  checkStorage(node)
  const id = `${image.sha256.slice(0, 12)}-${LAYOUT}`
  const folder = generationFolder(stateFolder, id)
  const generation: GenerationPlan = { id, image: image.key, sha256: image.sha256, folder }
  const wire = wireOf(node, server)
  const { ip, prefix, gateway, device } = wire
  const { dns = [], domain } = node.interfaces[0] ?? {}
  const target = {
    name: wire.bootName,
    ip,
    netmask: netmaskOf(prefix),
    device,
    serverIp: wire.serverIp,
    gateway,
    cloudInit: image.root.has('/etc/cloud'),
  }
  const facts = { node: node.name, generation: generation.id, image: image.key, rootMode, ip }
  const writable = !isReadOnly(rootMode)
  const config = netbootConfig(system.config)
  const volume = volumeOf(node, stateFolder)
  const overlays = node.overlays.map(({ name }) => name)
  const edits = (place: Pick<EditionRecord, 'rootFolder' | 'stateFolder'>) => {
    const { rootFolder, stateFolder } = place
    const folders = { rootFolder, stateFolder, writable }
    const texts = { cmdline: netbootCmdline(system.kernel, { ...target, ...folders }), config }
    const root = [
      ...system.image.family.served.root(image.root, identity, { device, ip, prefix, dns, gateway, domain }),
      ...(volume === undefined ? [] : volumeEdits(wire.serverIp, volume.folder, overlays)),
      ...firstBootEdits(
        system.image.os.bootMount,
        system.firstBoot,
        new Map([
          [system.line, texts.cmdline],
          ['config.txt', config],
        ]),
      ),
    ]
    return { boot: planBootTree(system, texts, { isUsb: wire.slot !== undefined }), root }
  }
  // The root's own path is part of the edits, and an edition's digest part of the path.
  const anywhere = edits({ rootFolder: '/' })
  const edition = `${generation.id}-${digestOfEdits(rootMode, anywhere.boot, anywhere.root)}`
  const record = editionRecord(stateFolder, { ...facts, edition })
  const { names, warning }: TftpNames =
    wire.slot === undefined ? tftpNames(node, cluster.netroot.layout) : { names: [] }
  const served = serve(node, record, volume?.folder, names, wire, request)
  return {
    generation,
    plan: {
      served,
      record,
      ...edits(record),
      volume,
      secrets: [...system.secrets, identity.hostKey.privateKey],
      warnings: [...system.warnings, ...(warning === undefined ? [] : [warning])],
    },
  }
}

function serve(
  node: Node,
  record: IsolatedEdition,
  volume: string | undefined,
  names: string[],
  { ip, slot }: Wire,
  request: NetrootRequest,
): ServedNode {
  const { generation, edition, bootFolder, rootFolder, rootMode, overlay, stateFolder } = record
  return withExports(
    {
      name: node.name,
      model: node.model,
      ip,
      mac: node.mac,
      serial: node.serial?.slice(-8),
      generation,
      edition,
      bootFolder,
      rootFolder,
      rootMode,
      overlay,
      stateFolder,
      volumeFolder: volume,
      usbSlot: slot,
      exports: [],
      tftpNames: names,
    },
    [record, ...(request.earlier.get(node.name) ?? [])],
  )
}

function volumeOf(node: Node, state: string): NodePlan['volume'] {
  if (node.storageBytes === undefined) return undefined
  return { ...volumeImage(state, node.name), bytes: node.storageBytes }
}

function inFileOrder(cluster: Cluster, nodes: readonly ServedNode[]): ServedNode[] {
  const order = new Map(cluster.nodes.map(({ name }, index) => [name, index]))
  return [...nodes].sort((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0))
}
