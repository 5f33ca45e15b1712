/** `bake`: nodes → image files, with what other tools need beside them. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { bakedFileName, bakeImage } from '../bake/bake.ts'
import type { BakeFormat } from '../bake/compress.ts'
import { formatOsList, type OsListImage } from '../bake/os-list.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import type { BootPlan } from '../customise/plan-boot.ts'
import { UsageError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { readInputText } from '../io/input-file.ts'
import { makeOutputFolder } from '../io/ownership.ts'
import { osListEntry, writeSbom } from './bake-sidecars.ts'
import { refuseUnbootable } from './boot-check.ts'
import { type Caller, taskOf } from './caller.ts'
import { whileFileLocked } from './file-lock.ts'
import { openBases } from './image-pipeline.ts'
import { accountsToCome } from './login.ts'
import { bakeNetbootCards, type NetbootCardKind, needsNetbootCard, refuseToReplace } from './netboot-card.ts'
import { buildNodeImage, type NodeImage } from './node-image.ts'
import { type NodesRequest, openNodes } from './one-off.ts'
import { confirmCards, findNode, type Project } from './project.ts'
import {
  findSecretFiles,
  forRelease,
  notForRelease,
  openSecretFinders,
  RELEASE_HINT,
  standIn,
} from './release.ts'

export interface BakeRequest extends NodesRequest {
  /** Names, or every node that boots from a card. */
  nodes?: readonly string[] | 'all'
  /** Folder to write into. Default: the current one. */
  folder?: string
  /** Default: `img`. */
  format?: BakeFormat
  /** Compression level. */
  level?: number
  /** Where the files will be served, for os_list.json; '' (the default) for names beside it. */
  url?: string
  /** For everybody: no account, key or Wi-Fi in it, and an SBOM beside it. */
  release?: boolean
  /** With all nodes: only the `index`th (from 1) of `count` shares. */
  shard?: { index: number; count: number }
}

export interface BootCardRequest extends NodesRequest {
  /** The card a Pi 1 or 2 boots the network with, or the one that lets a Pi 3B do so. */
  kind: NetbootCardKind
  nodes?: readonly string[] | 'all'
  folder?: string
  format?: BakeFormat
  level?: number
}

export interface BakeResult {
  /** os_list.json. */
  files: string[]
  /** Nodes that are not for release. */
  skipped: string[]
}

/** @throws {UsageError} nothing to bake, files that may not be replaced, or a node that is not for release */
export async function bake(request: BakeRequest, caller: Caller): Promise<BakeResult> {
  const { release = false, shard } = request
  const given = await openNodes(release ? { ...request, readLocal: standIn } : request, caller)
  const project = release ? forRelease(given) : given
  const nodes = shareOf(chooseNodes(project.cluster, request), shard)
  if (nodes.length === 0 && shard === undefined)
    throw new UsageError('no node to bake', { hint: 'Name some: --node NAME, or --all' })
  await confirmCards(nodes, caller)
  const folder = resolve(caller.cwd, request.folder ?? '')
  await refuseToReplace(
    nodes.map((node) =>
      join(folder, bakedFileName(fileNameOf(project.cluster, node, request), formatOf(request))),
    ),
    caller,
  )
  await makeOutputFolder(folder)
  const list = join(folder, listName(shard))
  const readList = async () => (existsSync(list) ? readInputText(list) : undefined)
  // A file there that is no list is known before hours of work.
  formatOsList([], await readList())
  const bases = await openBases(request, caller)
  const finds = release ? await openSecretFinders(given.cluster) : undefined
  const listed: OsListImage[] = []
  const skipped: string[] = []
  const released: BootPlan[] = []
  try {
    for (const node of nodes) {
      const base = await bases.open(project.imageOf(node))
      const image = await buildNodeImage(project, node, base)
      const secrets =
        finds === undefined ? [] : findSecretFiles(image.plan, findNode(given.cluster, node.name), finds)
      // What the files beside the image say of the node.
      const said = [project.cluster.name, node.name, ...node.overlays.map(({ name }) => name), request.url]
      if (finds?.derived(Buffer.from(JSON.stringify(said)))) secrets.push(listName(shard))
      if (secrets.length === 0) {
        listed.push(await bakeOne(project, image, folder, request, caller))
        if (release) released.push(image.plan)
      } else if (request.nodes !== 'all') throw notForRelease(node.name, secrets)
      else {
        const { message } = notForRelease(node.name, secrets)
        caller.onEvent({ event: 'warning', message: `${message}; left out` })
        skipped.push(node.name)
      }
    }
  } finally {
    await bases.close()
  }
  if (listed.length === 0 && skipped.length > 0)
    throw new UsageError(`no node is for release: ${skipped.join(', ')}`, { hint: RELEASE_HINT })
  await whileFileLocked(list, caller, async () =>
    writeFileAtomically(list, formatOsList(listed, await readList())),
  )
  for (const message of accountsToCome(released, list)) caller.onEvent({ event: 'warning', message })
  return { files: [list], skipped }
}

/** What a board gets once, and the nodes share. @throws {UsageError} no node needs one, or a file may not be replaced */
export async function bakeBootCards(request: BootCardRequest, caller: Caller): Promise<{ files: string[] }> {
  const { kind } = request
  const project = await openNodes(request, caller)
  const nodes =
    request.nodes === 'all' ? needsNetbootCard(kind, project.cluster) : chooseNodes(project.cluster, request)
  if (nodes.length === 0)
    throw new UsageError(`no node needs the ${kind} card`, {
      hint: 'Name one whose image to take it from: --node NAME; or --image IMAGE without a cluster file',
    })
  const images = [
    ...new Map(nodes.map((node) => project.imageOf(node)).map((image) => [image.key, image])).values(),
  ]
  const folder = resolve(caller.cwd, request.folder ?? '')
  const bases = await openBases(request, caller)
  try {
    const card = { kind, images, folder, format: formatOf(request), level: request.level }
    const baked = await bakeNetbootCards(card, bases, caller)
    if (kind === 'otp')
      caller.onEvent({
        event: 'warning',
        message: 'the bit that this card sets can never be cleared: Pi 3B only',
      })
    return { files: baked.flatMap(({ files }) => files) }
  } finally {
    await bases.close()
  }
}

const formatOf = ({ format = 'img' }: Pick<BakeRequest, 'format'>): BakeFormat => format

async function bakeOne(
  project: Project,
  image: NodeImage,
  folder: string,
  request: BakeRequest,
  caller: Caller,
): Promise<OsListImage> {
  const task = taskOf(caller)
  const { node, base, plan, changes, ranges } = image
  const { cluster } = project
  const { level, release = false, url = '' } = request
  for (const message of plan.warnings) caller.onEvent({ event: 'warning', node: node.name, message })
  await base.verified(task)
  await refuseUnbootable(image, request, caller)
  const name = fileNameOf(cluster, node, request)
  // What is not for release holds the node's keys.
  const mode = release ? 0o644 : 0o600
  const format = formatOf(request)
  const baked = await bakeImage({ image: changes, used: ranges, folder, name, format, level, mode }, task)
  const locked = project.imageOf(node)
  if (release)
    baked.files.push(await writeSbom({ folder, name, node, image: locked, baseSha256: base.sha256, baked }))
  caller.onEvent({ event: 'baked', node: node.name, ...baked })
  return osListEntry({ cluster, node, image: locked, imager: plan.imager, baked, name, url })
}

/** Releases of several clusters lie side by side. */
const fileNameOf = (cluster: Cluster, node: Node, { release }: BakeRequest): string =>
  release ? `${cluster.name}-${node.name}` : node.name

function chooseNodes(cluster: Cluster, request: Pick<BakeRequest, 'nodes' | 'oneOff'>): readonly Node[] {
  if (request.oneOff !== undefined) return cluster.nodes
  // A node that boots from the network has no card.
  if (request.nodes === 'all') return cluster.nodes.filter(({ boot }) => boot === 'card')
  return (request.nodes ?? []).map((name) => findNode(cluster, name))
}

/** Every Nth, so that the shares' sizes differ by one at most. */
export const shareOf = <T>(items: readonly T[], share: BakeRequest['shard']): readonly T[] =>
  share === undefined ? items : items.filter((_, at) => at % share.count === share.index - 1)

/** Each share has a list of its own; together they are the whole one. */
const listName = (shard: BakeRequest['shard']): string =>
  shard === undefined ? 'os_list.json' : `os_list.${shard.index}-of-${shard.count}.json`

/** @throws {UsageError} anything but `I/N` with 1 ≤ I ≤ N */
export function parseShard(text: string): { index: number; count: number } {
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text)?.map(Number) ?? []
  if (index === undefined || count === undefined || index < 1 || index > count) {
    throw new UsageError(`--shard ${text} is not a valid shard`, {
      hint: '--shard I/N is the Ith of N shares, counted from 1: --shard 2/8',
    })
  }
  return { index, count }
}
