/** `piimage plan`: what `flash` and `bake` would change, file by file, as a diff without secrets. */
import { UsageError } from '../errors.ts'
import { formatBytes } from '../units.ts'
import type { NodePlan } from '../work/events.ts'
import { plan } from '../work/plan.ts'
import { callerOf } from './caller.ts'
import { defineCommand } from './command.ts'
import { nodesRequest, type OneOffArgs, oneOffFlags } from './one-off-flags.ts'

interface PlanArgs extends OneOffArgs {
  what: string[]
  node?: string[]
  all?: boolean
}

export const planCommand = defineCommand<PlanArgs>({
  command: 'plan [what..]',
  describe: 'Show every file that would change on a card, as a diff',
  builder: (cli) =>
    oneOffFlags(cli)
      .positional('what', {
        ...({ type: 'string', array: true, default: [] as string[] } as const),
        describe: 'Nodes to show (default: all)',
      })
      .option('node', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'The same, by a flag',
      })
      .option('all', { type: 'boolean', describe: 'Every node of the cluster file' })
      .conflicts('all', 'node')
      .example('$0 plan oneil', 'What makes a card oneil'),
  async run(args, context) {
    const named = [...(args.node ?? []), ...args.what]
    const node = named.length === 0 ? undefined : named
    if (args.all && node !== undefined)
      throw new UsageError(`--all shows every node, and ${node[0]} is one`, {
        hint: 'Leave out one of the two',
      })
    const request = { ...(await nodesRequest({ ...args, node }, context.world)), nodes: node }
    return plan(
      request,
      callerOf(args, context, {
        plan: (event) => 'diff' in event && context.output.printText(describeNode(event)),
      }),
    )
  },
})

const describeNode = ({ image, bytesToWrite, imageBytes, sectorsChanged, diff }: NodePlan): string =>
  `# ${image}: ${formatBytes(bytesToWrite)} of ${formatBytes(imageBytes)} to write, ${sectorsChanged} sectors changed\n${diff}`
