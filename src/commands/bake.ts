/** `piimage bake`: nodes → image files, with what other tools need beside them. */

import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Baked, bakedFileName, bakeImage } from '../bake/bake.ts'
import { type BakeFormat, bakeFormats } from '../bake/compress.ts'
import { formatOsList, type OsListImage } from '../bake/os-list.ts'
import type { LockedImage } from '../catalog/locked-image.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import type { Task } from '../progress.ts'
import { formatBytes } from '../units.ts'
import { type Context, defineCommand } from './command.ts'
import { openBases } from './support/base-image.ts'
import { buildNodeImage } from './support/node-image.ts'
import { findNode, openProject } from './support/project.ts'

interface BakeArgs {
  node?: string[]
  all?: boolean
  output: string
  format: BakeFormat
  level?: number
  url: string
}

export const bakeCommand = defineCommand<BakeArgs>({
  command: 'bake',
  describe: 'Write nodes to image files for releases or other tools',
  builder: (cli) =>
    cli
      .option('node', { type: 'string', array: true, nargs: 1, describe: 'Nodes to bake' })
      .option('all', { type: 'boolean', describe: 'Every node of the cluster file' })
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
      .example('$0 bake --node oneil -o out --format xz', 'oneil.img.xz, .sha256, .bmap, os_list.json'),
  async run(args, context) {
    const { world, output } = context
    const project = await openProject(args, context)
    const nodes = args.all
      ? project.cluster.nodes
      : (args.node ?? []).map((name) => findNode(project.cluster, name))
    if (nodes.length === 0)
      throw new UsageError('no node to bake', { hint: 'Name some: --node NAME, or --all' })
    const folder = resolve(world.cwd, args.output)
    await refuseToReplace(nodes, folder, args, context)
    await mkdir(folder, { recursive: true })
    const task: Task = { report: output.progress, signal: world.signal }
    const bases = await openBases(args, context)
    const listed: OsListImage[] = []
    try {
      for (const node of nodes) {
        const locked = project.imageOf(node)
        const base = await bases.open(locked)
        const image = await buildNodeImage(project, node, base)
        for (const warning of image.plan.warnings) output.warn(`${node.name}: ${warning}`)
        await base.verified(task)
        const { name } = node
        const baked = await bakeImage(
          { image: image.changes, used: image.ranges, folder, name, format: args.format, level: args.level },
          task,
        )
        output.event('baked', { node: name, ...baked })
        output.print(`${baked.path}  ${formatBytes(baked.size)}  sha256 ${baked.sha256}`)
        listed.push(listEntry(project.cluster, node, locked, baked, args.url))
      }
    } finally {
      await bases.close()
    }
    const list = join(folder, 'os_list.json')
    await writeFileAtomically(list, formatOsList(listed))
    return { files: [list] }
  },
})

async function refuseToReplace(
  nodes: readonly Node[],
  folder: string,
  args: BakeArgs & { yes: boolean },
  { world }: Context,
) {
  const there = nodes
    .map((node) => join(folder, bakedFileName(node.name, args.format)))
    .filter((path) => existsSync(path))
  if (there.length === 0 || args.yes) return
  if (await world.confirm(`${there.join(', ')} will be replaced. Go on?`)) return
  throw new UsageError(`${there[0]} exists, nothing was written`, { hint: '--yes replaces it' })
}

function listEntry(cluster: Cluster, node: Node, image: LockedImage, baked: Baked, url: string): OsListImage {
  const at = (file: string) => `${url.replace(/\/*$/, url === '' ? '' : '/')}${file}`
  return {
    name: `${cluster.name} ${node.name}`,
    description: `Node ${node.name} of cluster ${cluster.name}, from ${image.key}`,
    url: at(bakedFileName(node.name, baked.format)),
    bmapUrl: at(`${node.name}.bmap`),
    extractedSize: baked.extractedSize,
    extractedSha256: baked.extractedSha256,
    size: baked.size,
    sha256: baked.sha256,
    releaseDate: /^\d{4}-\d{2}-\d{2}/.exec(image.version)?.[0] ?? '1980-01-01',
    model: node.model,
    arch: image.arch,
  }
}
