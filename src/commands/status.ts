/** `piimage status`: how far every node is, as a table. */
import { PartialError, UnreachedError } from '../errors.ts'
import { formatTable } from '../report/table.ts'
import type { NodeStatus } from '../work/events.ts'
import { hasFinished } from '../work/node-status.ts'
import { status } from '../work/status.ts'
import { callerOf, common } from './caller.ts'
import { defineCommand } from './command.ts'
import { type SshArgs, sshFlags, sshOptions } from './ssh-flags.ts'

interface StatusArgs extends SshArgs {
  node?: string[]
}

export const statusCommand = defineCommand<StatusArgs>({
  command: 'status',
  describe: 'Ask the nodes over ssh how far they are',
  builder: (cli) =>
    sshFlags(cli).option('node', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Nodes to ask (default: all)',
    }),
  async run(args, context) {
    const request = { ...common(args), ...sshOptions(args), nodes: args.node }
    const nodes = await status(request, callerOf(args, context))
    context.output.printText(
      formatTable(['NODE', 'FIRST BOOT', 'DOCKER', 'CLUSTER', ''], nodes.map(describe)),
    )
    const names = (of: NodeStatus[]) => of.map(({ node }) => node)
    const silent = names(nodes.filter(({ reached }) => !reached))
    const strays = names(nodes.filter(({ stray }) => stray !== undefined))
    const astray = `${strays.length} of ${nodes.length} nodes are not in the cluster of their head: ${strays.join(', ')}`
    const bring = `They leave the other and join it with: piimage join ${strays.map((name) => `--node ${name}`).join(' ')}`
    if (silent.length > 0)
      throw new UnreachedError(
        [
          `${silent.length} of ${nodes.length} nodes did not answer: ${silent.join(', ')}`,
          ...(strays.length > 0 ? [astray] : []),
        ],
        {
          hint: [
            'Are they on? Where one has another address: --address NODE=ADDRESS',
            ...(strays.length > 0 ? [bring] : []),
          ],
        },
      )
    if (strays.length > 0) throw new PartialError(astray, { hint: bring })
    return { reached: nodes.length, nodes: nodes.length }
  },
})

function describe(status: NodeStatus): string[] {
  const { node, reached, problem, firstBoot, docker, join, stray } = status
  if (!reached) return [node, '-', '-', '-', `not reached: ${problem}`]
  const step = firstBoot === undefined ? 'not begun' : `${firstBoot.step} ${firstBoot.state}`
  const boot = hasFinished(status) ? 'done' : step
  return [node, boot, docker ?? '-', join ?? '-', stray ?? firstBoot?.detail ?? '']
}
