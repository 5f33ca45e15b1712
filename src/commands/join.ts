/** `piimage join`: bring nodes into their cluster from here, over ssh. */
import { joinNodes } from '../work/join.ts'
import { callerOf, common } from './caller.ts'
import { defineCommand } from './command.ts'
import { type SshArgs, sshFlags, sshOptions } from './ssh-flags.ts'

interface JoinArgs extends SshArgs {
  node?: string[]
}

export const joinCommand = defineCommand<JoinArgs>({
  command: 'join',
  describe: 'Bring nodes into their cluster from here, over ssh',
  builder: (cli) =>
    sshFlags(cli)
      .option('node', { type: 'string', array: true, nargs: 1, describe: 'Nodes to bring in (default: all)' })
      .example('$0 join --node oneil', 'A card that was made again')
      .example('$0 join --yes', 'The head’s card was: its nodes leave the old swarm'),
  run: (args, context) =>
    joinNodes(
      { ...common(args), ...sshOptions(args), nodes: args.node },
      callerOf(args, context, {
        join({ node, kind, problem }) {
          if (problem === null) context.output.print(`${node} is in the ${kind}`)
          else context.output.warn(`${node}: ${problem}`)
        },
      }),
    ),
})
