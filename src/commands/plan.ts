/** `piimage plan`: what `flash` and `bake` would change, file by file, as a diff without secrets. */
import { formatBytes } from '../units.ts'
import type { NodePlan } from '../work/events.ts'
import { plan } from '../work/plan.ts'
import { callerOf } from './caller.ts'
import { defineCommand } from './command.ts'
import { nodesRequest, type OneOffArgs, oneOffFlags } from './one-off-flags.ts'

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
    const request = { ...(await nodesRequest(args, context.world)), nodes: args.node }
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
