/** `piimage netroot`: nodes without cards; their trees, who serves them, and whether they would boot. */
import { Writable } from 'node:stream'
import { type Model, modelNames } from '../cluster/boards.ts'
import { archiveMode, type RootModeWord, rootModeWords } from '../cluster/root-modes.ts'
import { UsageError } from '../errors.ts'
import type { UnknownBoard } from '../rehearsal/live/node-state.ts'
import { formatTable } from '../report/table.ts'
import { quoteLine } from '../terminal-text.ts'
import { formatBytes } from '../units.ts'
import { callerOf, common, type Tellers } from './caller.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'

interface NetrootArgs {
  action: string
  more: string[]
  node?: string[]
  'dry-run': boolean
  apply: boolean
  install: boolean
  openFirewall?: boolean
  prefix?: string
  state?: string
  'root-mode'?: RootModeWord
  tar?: string
  keep: number
  watch: boolean
  as?: Model
  log?: string
}

/** Each loads its use case when it is asked for: looking at a boot needs nothing of what lays trees out. */
type Action = (args: GlobalArgs & NetrootArgs, context: Context) => Promise<object>

/** What most actions start from. */
const siteOf = (args: GlobalArgs & NetrootArgs) => {
  const { prefix, state, node: nodes } = args
  return { ...common(args), prefix, state, nodes }
}

/** What the servers' files became, wherever they are written. */
const servers = ({ output }: Context): Tellers => ({
  servers({ apply, nodes, interface: name, written, taken, kept, checks, notStarted }) {
    for (const path of written) output.note(`wrote ${path}`)
    for (const path of taken) output.note(`removed ${path}`)
    for (const path of kept) output.warn(`${path} was changed by hand, so it stays`)
    for (const { checker, skipped } of checks)
      if (skipped !== undefined) output.warn(`not checked by ${checker}: ${skipped}`)
    if (notStarted !== undefined) output.warn(`nothing was started: ${notStarted}`)
    else if (apply) output.print(`serving ${nodes} nodes on ${name}`)
    else output.note('Nothing was started: --apply starts the servers')
  },
  firewall({ manager, shut, lines }) {
    output.warn(`the firewall (${manager}) shuts out what nodes ask this server for: ${shut.join(', ')}`)
    output.note(`--apply --open-firewall opens it, for good; or by hand:\n  ${lines.join('\n  ')}`)
  },
})

/** A node's boot, as it was played. */
const played = ({ output }: Context): Tellers => ({
  node(event) {
    if (!('faults' in event)) return
    const { node, model, requests, bytes, faults, notes } = event
    const verdict =
      faults.length === 0 ? 'ok' : `${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}`
    output.print(`${node} ${model} ${verdict}, ${requests} requests, ${formatBytes(bytes)}`)
    for (const { step, place, problem, mend } of faults) {
      output.print(`  ${step}: ${place}: ${problem}`)
      output.print(`    ${mend}`)
    }
    for (const { place, text } of notes) output.print(`  note: ${place}: ${text}`)
  },
})

const layOut: Action = async (args, context) => {
  const { output, world } = context
  const { layOutNetroot, planLayOut, archiveNode } = await import('../work/netroot/lay-out.ts')
  const { apply, install, openFirewall, 'root-mode': rootMode, tar } = args
  const request = { ...siteOf(args), apply, install, openFirewall, rootMode }
  if (tar !== undefined && !args['dry-run']) {
    if (tar === '-' && output.json)
      throw new UsageError('stdout cannot hold an archive and --json', { hint: 'Name a file: --tar FILE' })
    const stream = world.stdout instanceof Writable ? world.stdout : undefined
    if (tar === '-' && stream === undefined) throw new Error('stdout is not a stream')
    const to = tar === '-' && stream !== undefined ? stream : tar
    const made = await archiveNode({ ...request, to }, callerOf(args, context))
    if (made.tar === undefined) return { node: made.node }
    output.print(`${made.tar}: the trees of ${made.node}; root/ holds its secrets`)
    output.note(`Unpack as root: root/ to ${made.rootFolder}, where its command line looks for it;`)
    if (made.volumeFolder !== undefined)
      output.note(
        `volume/ to ${made.volumeFolder}, the first time only: the node keeps its containers in the file in it;`,
      )
    output.note(`boot/ to the TFTP server's folder ${made.tftpNames[0] ?? 'for its serial number'}.`)
    output.note('The server exports each, as exports(5) has it:')
    for (const folder of [made.rootFolder, made.volumeFolder])
      if (folder !== undefined)
        output.note(`  ${folder} ${made.ip}(rw,sync,no_subtree_check,no_root_squash,sec=sys)`)
    return { node: made.node, tar: made.tar }
  }
  if (args['dry-run']) {
    const { formatFirewallHints } = await import('../servers/firewall.ts')
    const asTar = tar === undefined ? request : { ...request, rootMode: archiveMode }
    const planned = await planLayOut(
      asTar,
      callerOf(args, context, {
        plan: (event) => 'description' in event && output.printText(event.description),
        'server-file': ({ kind, path, diff }) =>
          output.printText(kind === 'same' ? `= ${path}` : diff.trimEnd()),
      }),
    )
    const { served, firewall } = planned
    const hints = firewall === undefined ? formatFirewallHints(served) : `${firewall.lines.join('\n')}\n`
    output.noteText(`What a firewall must let through:\n${hints}`)
    return planned
  }
  const laid = await layOutNetroot(
    request,
    callerOf(args, context, {
      ...servers(context),
      ...played(context),
      'laid-out': ({ state, nodes, rootMode: mode }) =>
        output.print(
          nodes.length === 0
            ? `${state}: everything is laid out already`
            : `${state}: laid out ${nodes.join(', ')} (roots by ${mode})`,
        ),
    }),
  )
  if (laid.served.nodes.some(({ usbSlot }) => usbSlot !== undefined))
    output.note('Zeros boot after: sudo clusterctrl init, then clusterctrl on')
  return laid
}

const diff: Action = async (args, context) => {
  const { diffNetroot } = await import('../work/netroot/editions.ts')
  const nodes = [...args.more, ...(args.node ?? [])]
  const result = await diffNetroot({ ...siteOf(args), nodes }, callerOf(args, context))
  for (const [name, found] of Object.entries(result.changes)) {
    for (const { kind, path } of found)
      context.output.print(`${name} ${{ new: '+', changed: '~', gone: '-' }[kind]} ${path}`)
    if (found.length === 0) context.output.print(`${name}: its root is its generation's`)
  }
  return result
}

const rollback: Action = async (args, context) => {
  const { rollBackNetroot } = await import('../work/netroot/editions.ts')
  const caller = callerOf(args, context, {
    ...servers(context),
    'rolled-back': ({ node, from, to }) => context.output.print(`${node}: ${from} → ${to} at its next boot`),
  })
  return rollBackNetroot(siteOf(args), caller)
}

const prune: Action = async (args, context) => {
  const { output } = context
  const { pruneNetroot } = await import('../work/netroot/editions.ts')
  const caller = callerOf(args, context, {
    ...servers(context),
    pruning({ dryRun, editions, nodes, generations }) {
      const gone = [
        ...editions.map(({ node, edition }) => `edition ${edition} of ${node}`),
        ...nodes.map((node) => `the folder of ${node}`),
        ...generations.map((id) => `generation ${id}`),
      ]
      for (const what of gone) output.print(`${dryRun ? 'would remove' : 'removes'} ${what}`)
      if (gone.length === 0) output.print('there is nothing to remove')
    },
  })
  return pruneNetroot({ ...siteOf(args), keep: args.keep, dryRun: args['dry-run'] }, caller)
}

const remove: Action = async (args, context) => {
  const { output } = context
  const { removeNetroot } = await import('../work/netroot/editions.ts')
  const request = { ...siteOf(args), dryRun: args['dry-run'] }
  const { folder, ...result } = await removeNetroot(request, callerOf(args, context))
  if (args['dry-run']) {
    output.print(`would remove ${folder}, with every root and every volume in it, and the servers' files`)
    return result
  }
  const { removed = [], kept = [] } = result
  for (const path of kept) output.warn(`${path} was changed by hand, so it stays`)
  output.print(`removed ${[...removed, folder].join(', ')}`)
  return result
}

const verify: Action = async (args, context) => {
  const { verifyNetroot } = await import('../work/netroot/verify.ts')
  const caller = callerOf(args, context, played(context))
  return { ...(await verifyNetroot({ ...siteOf(args), as: args.as }, caller)), faults: 0 }
}

const status: Action = async (args, context) => {
  const { output, world } = context
  const { netrootStatus } = await import('../work/netroot/status.ts')
  const { describeBoard } = await import('../rehearsal/live/node-state.ts')
  const describeUnknown = (board: UnknownBoard): string =>
    `not in the cluster file: ${quoteLine(describeBoard(board))}\n  piimage netroot adopt ${board.serial ?? board.mac} NODE`
  const time = () => world.now().toTimeString().slice(0, 8)
  // The first look is shown as a table, what changes after it line by line.
  let isFirst = true
  const caller = callerOf(args, context, {
    node: (event) =>
      !isFirst &&
      'stage' in event &&
      output.print(
        `${time()} ${event.node} ${event.stage}${event.detail === undefined ? '' : `: ${event.detail}`}`,
      ),
    board: (board) => !isFirst && output.printText(`${time()} ${describeUnknown(board)}`),
  })
  const { watch, log } = args
  const request = { ...siteOf(args), watch, log }
  const last = await netrootStatus(request, caller, ({ nodes, unknown }) => {
    const rows = nodes.map(({ node, stage, detail }) => [node, stage, detail ?? ''])
    const table = formatTable(['NODE', 'STAGE', ''], rows)
    output.printText([table, ...unknown.map(describeUnknown)].join('\n'))
    isFirst = false
  })
  return {
    up: last.nodes.filter(({ stage }) => stage === 'up').length,
    nodes: last.nodes.length,
    unknown: last.unknown.length,
  }
}

const adoptBoard: Action = async (args, context) => {
  const { adopt } = await import('../work/netroot/adopt.ts')
  const [board = '', node = '', mac] = args.more
  const request = { ...common(args), board, node, mac, log: args.log }
  const adopted = await adopt(request, callerOf(args, context))
  context.output.print(
    `${adopted.node} is the board with serial ${adopted.serial}, ${adopted.mac}; piimage netroot --apply serves it`,
  )
  return adopted
}

const actions: Record<string, Action> = {
  'lay-out': layOut,
  diff,
  rollback,
  prune,
  remove,
  verify,
  status,
  adopt: adoptBoard,
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
      .option('open-firewall', {
        type: 'boolean',
        describe: 'With --apply: open the firewall for the nodes, for good; --no-… shuts it again',
      })
      .option('prefix', { type: 'string', nargs: 1, describe: 'Put everything under another root' })
      .option('state', { type: 'string', nargs: 1, describe: 'State folder (default: /srv/piimage/CLUSTER)' })
      .option('root-mode', { choices: rootModeWords, describe: 'How roots are made' })
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
    const action = actions[args.action]
    if (action === undefined) throw new UsageError(`netroot can't ${args.action}`)
    return action(args, context)
  },
})
