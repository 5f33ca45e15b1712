/** `piimage bake`: nodes → image files, with what other tools need beside them. */

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { bakedFileName, bakeImage } from '../bake/bake.ts'
import { type BakeFormat, bakeFormats } from '../bake/compress.ts'
import { formatOsList, type OsListImage } from '../bake/os-list.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { makeOutputFolder } from '../io/ownership.ts'
import type { Task } from '../progress.ts'
import { formatBytes } from '../units.ts'
import { osListEntry, writeSbom } from '../work/bake-sidecars.ts'
import { openBases } from '../work/base-image.ts'
import { whileFileLocked } from '../work/file-lock.ts'
import { bakeNetbootCards, type NetbootCardKind, needsNetbootCard } from '../work/netboot-card.ts'
import { buildNodeImage, type NodeImage } from '../work/node-image.ts'
import { isOneOff, type OneOffArgs, oneOffFlags, openAnyProject } from '../work/one-off.ts'
import { findNode, type Project } from '../work/project.ts'
import { findSecretFiles, forRelease, notForRelease, RELEASE_HINT, standIn } from '../work/release.ts'
import { parseShard, type Shard, takeShard } from '../work/shard.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'

interface BakeArgs extends OneOffArgs {
  node?: string[]
  all?: boolean
  output: string
  format: BakeFormat
  level?: number
  url: string
  release: boolean
  shard?: string
  bootcode?: boolean
  otp?: boolean
}

export const bakeCommand = defineCommand<BakeArgs>({
  command: 'bake',
  describe: 'Write nodes to image files for releases or other tools',
  builder: (cli) =>
    oneOffFlags(cli)
      .option('node', { type: 'string', array: true, nargs: 1, describe: 'Nodes to bake' })
      .option('all', { type: 'boolean', describe: 'Every node that boots from a card' })
      .conflicts('all', 'node')
      .option('output', {
        alias: 'o',
        type: 'string',
        nargs: 1,
        default: '.',
        describe: 'Folder to write into',
      })
      .option('format', {
        choices: bakeFormats,
        default: 'img' as BakeFormat,
        describe: 'Image file, or compressed',
      })
      .option('level', { type: 'number', nargs: 1, describe: 'Compression level' })
      .option('url', {
        type: 'string',
        nargs: 1,
        default: '',
        describe: 'Where the files will be served; for os_list.json',
      })
      .option('release', {
        type: 'boolean',
        default: false,
        describe: 'For everybody: no account, key or Wi-Fi in it; with an SBOM',
      })
      .option('shard', {
        type: 'string',
        nargs: 1,
        describe: 'With --all: only the Ith of N shares, as I/N',
      })
      .implies('shard', 'all')
      .option('bootcode', {
        type: 'boolean',
        describe: 'Instead: the card a Pi 1 or 2 boots the network with',
      })
      .option('otp', {
        type: 'boolean',
        describe: 'Instead: the card that lets a Pi 3B boot from the network',
      })
      .conflicts('bootcode', ['otp', 'shard'])
      .conflicts('otp', 'shard')
      .example('$0 bake --node oneil -o out --format xz', 'oneil.img.xz, .sha256, .bmap, os_list.json'),
  async run(args, context) {
    const { world, output } = context
    const shard = args.shard === undefined ? undefined : parseShard(args.shard)
    const given = await openAnyProject(args, context, args.release ? { readLocal: standIn } : {})
    if (args.bootcode || args.otp) return bakeCards(args.otp ? 'otp' : 'bootcode', given, args, context)
    const project = args.release ? forRelease(given) : given
    const nodes = chooseNodes(project.cluster, args, shard)
    if (nodes.length === 0 && shard === undefined)
      throw new UsageError('no node to bake', { hint: 'Name some: --node NAME, or --all' })
    const folder = resolve(world.cwd, args.output)
    await refuseToReplace(project.cluster, nodes, folder, args, context)
    await makeOutputFolder(folder)
    const list = join(folder, listName(shard))
    const readList = async () => (existsSync(list) ? readFile(list, 'utf8') : undefined)
    // A list that is none is known before hours of work.
    formatOsList([], await readList())
    const bases = await openBases(args, context)
    const listed: OsListImage[] = []
    const skipped: string[] = []
    try {
      for (const node of nodes) {
        const base = await bases.open(project.imageOf(node))
        const image = await buildNodeImage(project, node, base)
        const secrets = args.release ? findSecretFiles(image.plan, findNode(given.cluster, node.name)) : []
        if (secrets.length === 0) listed.push(await bakeOne(project, image, folder, args, context))
        else if (args.node !== undefined) throw notForRelease(node.name, secrets)
        else {
          output.warn(`${notForRelease(node.name, secrets).message}; left out`)
          skipped.push(node.name)
        }
      }
    } finally {
      await bases.close()
    }
    if (listed.length === 0 && skipped.length > 0)
      throw new UsageError(`no node is for release: ${skipped.join(', ')}`, { hint: RELEASE_HINT })
    await whileFileLocked(list, context, async () =>
      writeFileAtomically(list, formatOsList(listed, await readList())),
    )
    return { files: [list], skipped }
  },
})

/** What a board gets once, and the nodes share. */
async function bakeCards(
  kind: NetbootCardKind,
  project: Project,
  args: BakeArgs & GlobalArgs,
  context: Context,
) {
  const nodes = args.all
    ? needsNetbootCard(kind, project.cluster)
    : chooseNodes(project.cluster, args, undefined)
  if (nodes.length === 0)
    throw new UsageError(`no node needs the ${kind} card`, {
      hint: 'Name one whose image to take it from: --node NAME; or --image IMAGE without a cluster file',
    })
  const images = [
    ...new Map(nodes.map((node) => project.imageOf(node)).map((image) => [image.key, image])).values(),
  ]
  const folder = resolve(context.world.cwd, args.output)
  const bases = await openBases(args, context)
  try {
    const request = { kind, images, folder, format: args.format, level: args.level }
    const baked = await bakeNetbootCards(request, bases, context, args.yes)
    if (kind === 'otp') context.output.warn('the bit that this card sets can never be cleared: Pi 3B only')
    return { files: baked.flatMap(({ files }) => files) }
  } finally {
    await bases.close()
  }
}

async function bakeOne(
  project: Project,
  { node, base, plan, changes, ranges }: NodeImage,
  folder: string,
  args: BakeArgs,
  { world, output }: Context,
): Promise<OsListImage> {
  const task: Task = { report: output.progress, signal: world.signal }
  for (const warning of plan.warnings) output.warn(`${node.name}: ${warning}`)
  await base.verified(task)
  const name = fileNameOf(project.cluster, node, args)
  const { format, level } = args
  // What is not for release holds the node's keys.
  const mode = args.release ? 0o644 : 0o600
  const baked = await bakeImage({ image: changes, used: ranges, folder, name, format, level, mode }, task)
  const image = project.imageOf(node)
  if (args.release)
    baked.files.push(await writeSbom({ folder, name, node, image, baseSha256: base.sha256, baked }))
  output.event('baked', { node: node.name, ...baked })
  output.print(`${baked.path}  ${formatBytes(baked.size)}  sha256 ${baked.sha256}`)
  return osListEntry({ cluster: project.cluster, node, image, baked, name, url: args.url })
}

/** Releases of several clusters lie side by side. */
const fileNameOf = (cluster: Cluster, node: Node, { release }: BakeArgs): string =>
  release ? `${cluster.name}-${node.name}` : node.name

function chooseNodes(cluster: Cluster, args: BakeArgs, shard: Shard | undefined): Node[] {
  if (args.node === undefined && isOneOff(args)) return cluster.nodes
  if (!args.all) return (args.node ?? []).map((name) => findNode(cluster, name))
  // A node that boots from the network has no card.
  const nodes = cluster.nodes.filter(({ boot }) => boot === 'card')
  return shard === undefined ? nodes : takeShard(nodes, shard)
}

/** Each share has a list of its own; together they are the whole one. */
const listName = (shard: Shard | undefined): string =>
  shard === undefined ? 'os_list.json' : `os_list.${shard.index}-of-${shard.count}.json`

async function refuseToReplace(
  cluster: Cluster,
  nodes: readonly Node[],
  folder: string,
  args: BakeArgs & { yes: boolean },
  { world }: Context,
) {
  const there = nodes
    .map((node) => join(folder, bakedFileName(fileNameOf(cluster, node, args), args.format)))
    .filter((path) => existsSync(path))
  if (there.length === 0 || args.yes) return
  if (await world.confirm(`${there.join(', ')} will be replaced. Go on?`)) return
  throw new UsageError(`${there[0]} exists, nothing was written`, { hint: '--yes replaces it' })
}
