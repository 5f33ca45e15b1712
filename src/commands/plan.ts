/** `piimage plan`: what `flash` and `bake` would change, file by file, as a diff without secrets. */
import { describeBootPlan, summariseBootPlan } from '../customise/describe.ts'
import { formatBytes } from '../units.ts'
import { defineCommand } from './command.ts'
import { openBases } from './support/base-image.ts'
import { buildNodeImage, type NodeImage } from './support/node-image.ts'
import { findNode, openProject } from './support/project.ts'

interface PlanArgs {
  node: string[]
  all: boolean
}

export const planCommand = defineCommand<PlanArgs>({
  command: 'plan',
  describe: 'Show every file that would change on a card, as a diff',
  builder: (cli) =>
    cli
      .option('node', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: 'Nodes to show (default: all)',
      })
      .option('all', { type: 'boolean', default: false, describe: 'Every node of the cluster file' })
      .conflicts('all', 'node')
      .example('$0 plan --node oneil', 'What makes a card oneil'),
  async run(args, context) {
    const { output } = context
    const project = await openProject(args, context)
    const nodes =
      args.node.length > 0 ? args.node.map((name) => findNode(project.cluster, name)) : project.cluster.nodes
    const bases = await openBases(args, context)
    try {
      for (const node of nodes) {
        const base = await bases.open(project.imageOf(node))
        const image = await buildNodeImage(project, node, base)
        output.event('plan', { node: node.name, ...summariseNode(image) })
        output.print(describeNode(image, output.color))
        for (const warning of image.plan.warnings) output.warn(`${node.name}: ${warning}`)
      }
      return { nodes: nodes.map((node) => node.name) }
    } finally {
      await bases.close()
    }
  },
})

function describeNode(image: NodeImage, color: boolean): string {
  const { node, base, plan } = image
  const written = image.ranges.reduce((sum, range) => sum + range.length, 0)
  return [
    `# ${node.name} (${node.model}) from ${base.key}`,
    `# recognised as ${plan.os.family} ${plan.os.release}: ${plan.os.evidence.join('; ')}`,
    `# ${plan.files.length} files, ${image.changes.sectorCount} sectors changed; ${formatBytes(written)} of ${formatBytes(base.length)} to write`,
    '',
    describeBootPlan(plan, { color }),
  ].join('\n')
}

function summariseNode(image: NodeImage): object {
  return {
    image: image.base.key,
    sha256: image.base.sha256,
    os: image.plan.os,
    sectorsChanged: image.changes.sectorCount,
    bytesToWrite: image.ranges.reduce((sum, range) => sum + range.length, 0),
    ...summariseBootPlan(image.plan),
    warnings: image.plan.warnings,
  }
}
