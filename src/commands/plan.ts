/** `piimage plan`: what `flash` and `bake` would change, file by file, as a diff without secrets. */
import { describeBootPlan } from '../customise/describe-boot-plan.ts'
import type { FileChange } from '../customise/plan-boot.ts'
import { formatBytes } from '../units.ts'
import { openBases } from '../work/base-image.ts'
import { buildNodeImage, type NodeImage } from '../work/node-image.ts'
import { type OneOffArgs, oneOffFlags, openAnyProject } from '../work/one-off.ts'
import { findNode } from '../work/project.ts'
import { defineCommand } from './command.ts'

interface PlanArgs extends OneOffArgs {
  node?: string[]
  all?: boolean
}

export const planCommand = defineCommand<PlanArgs>({
  command: 'plan',
  describe: 'Show every file that would change on a card, as a diff',
  builder: (cli) =>
    oneOffFlags(cli)
      .option('node', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'Nodes to show (default: all)',
      })
      .option('all', { type: 'boolean', describe: 'Every node of the cluster file' })
      .conflicts('all', 'node')
      .example('$0 plan --node oneil', 'What makes a card oneil'),
  async run(args, context) {
    const { output } = context
    const project = await openAnyProject(args, context)
    const nodes = args.node?.map((name) => findNode(project.cluster, name)) ?? project.cluster.nodes
    const bases = await openBases(args, context)
    try {
      for (const node of nodes) {
        const base = await bases.open(project.imageOf(node))
        const image = await buildNodeImage(project, node, base)
        output.event('plan', { node: node.name, ...summariseNode(image) })
        output.printText(describeNode(image))
      }
      return { nodes: nodes.map((node) => node.name) }
    } finally {
      await bases.close()
    }
  },
})

function describeNode(image: NodeImage): string {
  const { base, plan, changes } = image
  return [
    `# ${base.key}: ${formatBytes(bytesToWrite(image))} of ${formatBytes(base.length)} to write, ${changes.sectorCount} sectors changed`,
    describeBootPlan(plan),
  ].join('\n')
}

const bytesToWrite = (image: NodeImage): number => image.ranges.reduce((sum, range) => sum + range.length, 0)

function summariseNode(image: NodeImage): object {
  const { base, plan, changes } = image
  return {
    image: base.key,
    sha256: base.sha256,
    os: plan.os,
    sectorsChanged: changes.sectorCount,
    bytesToWrite: bytesToWrite(image),
    files: plan.files.map(summariseFile),
    warnings: plan.warnings,
  }
}

/** Sizes, never contents: those may hold secrets. */
const summariseFile = ({ path, before, after }: FileChange): object => ({
  path,
  change: before === null ? 'created' : after === null ? 'removed' : 'changed',
  bytesBefore: before?.length ?? null,
  bytesAfter: after?.length ?? null,
})
