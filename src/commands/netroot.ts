/** `piimage netroot`: nodes without cards; their trees, who serves them, and whether they would boot. */
import { modelNames } from '../cluster/boards.ts'
import { UsageError } from '../errors.ts'
import { onTrees } from '../netroot/disk-error.ts'
import { rootModes } from '../netroot/root-mode.ts'
import type { NetrootAction, NetrootArgs } from '../work/netroot/args.ts'
import { defineCommand } from './command.ts'

/** Each loaded when it is asked for: looking at a boot needs nothing of what lays trees out. */
const actions: Record<string, () => Promise<NetrootAction>> = {
  'lay-out': async () => (await import('../work/netroot/lay-out.ts')).layOutAction,
  diff: async () => (await import('../work/netroot/diff.ts')).diffAction,
  rollback: async () => (await import('../work/netroot/rollback.ts')).rollbackAction,
  prune: async () => (await import('../work/netroot/prune.ts')).pruneAction,
  remove: async () => (await import('../work/netroot/remove.ts')).removeAction,
  verify: async () => (await import('../work/netroot/verify.ts')).verifyAction,
  status: async () => (await import('../work/netroot/status.ts')).statusAction,
  adopt: async () => (await import('../work/netroot/adopt.ts')).adoptAction,
}

export const netrootCommand = defineCommand<NetrootArgs>({
  command: 'netroot [action] [more..]',
  describe: 'Nodes without cards: lay out what they boot from, and serve it',
  builder: (cli) =>
    cli
      .positional('action', { choices: Object.keys(actions), default: 'lay-out', describe: 'What to do' })
      .positional('more', { type: 'string', array: true, default: [], describe: 'adopt: SERIAL NODE [MAC]' })
      .option('node', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'Nodes (default: all with boot: net)',
      })
      .option('dry-run', { type: 'boolean', default: false, describe: 'Show the plan, write nothing' })
      .option('apply', { type: 'boolean', default: false, describe: 'Check and start the servers too' })
      .option('install', {
        type: 'boolean',
        default: false,
        describe: 'With --apply: install their packages',
      })
      .option('prefix', { type: 'string', nargs: 1, describe: 'Put everything under another root' })
      .option('state', { type: 'string', nargs: 1, describe: 'State folder (default: /srv/piimage/CLUSTER)' })
      .option('root-mode', { choices: ['auto' as const, ...rootModes], describe: 'How roots are made' })
      .option('tar', {
        type: 'string',
        nargs: 1,
        describe: 'Write the node to an archive instead (- is stdout)',
      })
      .option('keep', { type: 'number', nargs: 1, default: 1, describe: 'prune: earlier editions to keep' })
      .option('as', { choices: modelNames, describe: 'verify: play another model' })
      .option('watch', { type: 'boolean', default: false, describe: 'status: go on looking' })
      .option('log', { type: 'string', nargs: 1, describe: 'status: what dnsmasq wrote' })
      .example('$0 netroot --dry-run', 'Which trees, which files of which servers')
      .example('sudo $0 netroot --apply', 'Lay out every diskless node, and serve it')
      .example('sudo $0 netroot verify', 'Play every node’s boot: would it come up?'),
  async run(args, context) {
    const load = actions[args.action]
    if (load === undefined) throw new UsageError(`netroot can't ${args.action}`)
    const action = await load()
    return onTrees(() => action(args, context))
  },
})
