/** `piimage status`: asks every node over ssh how far it is: first boot, Docker, cluster. */
import { formatTable } from '../report/table.ts'
import { openNodeSsh, type SshArgs, sshFlags } from '../work/node-ssh.ts'
import { askNode, hasFinished, type NodeStatus } from '../work/node-status.ts'
import { findNode, openProject } from '../work/project.ts'
import { defineCommand } from './command.ts'

interface StatusArgs extends SshArgs {
  node?: string[]
}

/** At once, so that a large cluster neither takes an hour nor opens a hundred connections through its head. */
const AT_ONCE = 8

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
    const { world, output } = context
    const project = await openProject(args, context)
    const { cluster } = project
    const names = (args.node ?? cluster.nodes.map(({ name }) => name)).map(
      (name) => findNode(cluster, name).name,
    )
    const ssh = await openNodeSsh(cluster, await project.keys(), args, world)
    try {
      const statuses: NodeStatus[] = []
      for (let first = 0; first < names.length; first += AT_ONCE)
        statuses.push(
          ...(await Promise.all(names.slice(first, first + AT_ONCE).map((name) => askNode(ssh, name)))),
        )
      for (const status of statuses) output.event('node', status)
      output.printText(formatTable(['NODE', 'FIRST BOOT', 'DOCKER', 'CLUSTER', ''], statuses.map(describe)))
      return { reached: statuses.filter(({ reached }) => reached).length, nodes: statuses.length }
    } finally {
      await ssh.close()
    }
  },
})

function describe(status: NodeStatus): string[] {
  const { node, reached, problem, firstBoot, docker, join } = status
  if (!reached) return [node, '-', '-', '-', `not reached: ${problem}`]
  const step = firstBoot === undefined ? 'not begun' : `${firstBoot.step} ${firstBoot.state}`
  const boot = hasFinished(status) ? 'done' : step
  return [node, boot, docker ?? '-', join ?? '-', firstBoot?.detail ?? '']
}
