/** `piimage flash`: words → pairs of node and drive; what became of each card → text. */
import type { Argv } from 'yargs'
import { InterruptedError, PiimageError, UsageError } from '../errors.ts'
import { formatTable } from '../report/table.ts'
import { formatBytes } from '../units.ts'
import { againWith, flashBatch } from '../work/batch.ts'
import type { CardEvent } from '../work/events.ts'
import { flash } from '../work/flash.ts'
import type { CardOptions } from '../work/flash-card.ts'
import { callerOf, common, type Tellers } from './caller.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'
import { describeDrive } from './describe-drive.ts'
import { type DriveArgs, driveFlags } from './drive-flags.ts'
import { isOneOff, nodesRequest, type OneOffArgs, oneOffFlags } from './one-off-flags.ts'
import { pairNodesWithDrives } from './pairs.ts'

interface FlashArgs extends OneOffArgs, DriveArgs {
  drive: string[]
  node?: string[]
  all: boolean
  again: boolean
  erase?: string[]
  verify: boolean
  changedOnly: boolean
  full: boolean
  probe: boolean
  retries: number
}

export const flashCommand = defineCommand<FlashArgs>({
  command: 'flash [drive..]',
  describe: 'Write nodes to their cards, and read the cards back',
  builder: (cli) => {
    const flags = driveFlags(oneOffFlags(cli))
      .positional('drive', {
        type: 'string',
        array: true,
        default: [],
        describe: 'Whole drive (/dev/sdX, /dev/disk2), or a path ending .img',
      })
      .option('node', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'Node for each drive, in order; or NODE=DRIVE',
      })
      .option('all', {
        type: 'boolean',
        default: false,
        describe: 'Every node that starts from a card: asks for card after card',
      })
      .option('again', {
        type: 'boolean',
        default: false,
        describe: 'With --all: start over, whatever is done already',
      })
      .option('changed-only', {
        type: 'boolean',
        default: false,
        describe: 'Read the card first, and write only what differs',
      })
      .option('full', {
        type: 'boolean',
        default: false,
        describe: 'Write free space as well, as the image has it',
      })
      .option('probe', {
        type: 'boolean',
        default: false,
        describe: 'First find out whether the card holds what it announces',
      })
      .option('verify', {
        type: 'boolean',
        default: true,
        describe: 'Read back what was written (--no-verify)',
      })
      .option('retries', {
        type: 'number',
        nargs: 1,
        // A card that gives back other bytes once is worn or lying: that is worth knowing, not hiding.
        default: 0,
        describe: 'How often a range that reads back wrong is written again',
      })
      .option('erase', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'With --yes: a file system on the drive that may go, by label or type; any: all of them',
      })
      .example('$0 flash --node oneil /dev/disk2', 'One card')
      .example('$0 flash --node oneil=oneil.img', 'The same, into a file')
      .example('$0 flash --all', 'The whole cluster, card after card')
      .example('$0 flash --image hypriotos-rpi-v1.12.3.img.zip --hostname pi /dev/sdX', 'No cluster file')
    // yargs hands over `--changed-only` as `changedOnly` as well, which its types leave out.
    return flags as unknown as Argv<GlobalArgs & FlashArgs>
  },
  needsThreads: ({ all, node = [] }) => all || node.length > 1,
  async run(args, context) {
    checkArgs(args)
    return args.all ? flashAll(args, context) : flashPairs(args, context)
  },
})

const cardOptions = (args: GlobalArgs & FlashArgs): CardOptions => {
  const { serial, unmount, erase, verify, changedOnly, full, probe, retries } = args
  return { serial, unmount, unseen: args.yes, erase, verify, changedOnly, full, probe, retries }
}

/** The nodes and drives that were named, all at once. */
async function flashPairs(args: GlobalArgs & FlashArgs, context: Context): Promise<object> {
  const { output } = context
  if (args.node === undefined && args.drive.length > 1)
    throw new UsageError(`a node without a cluster file goes on one drive, not ${args.drive.length}`, {
      hint: 'Describe several in a cluster file: piimage init',
    })
  const pairs = args.node === undefined ? undefined : pairNodesWithDrives(args.node, args.drive)
  const request = await nodesRequest(args, context.world)
  const targets = pairs ?? pairNodesWithDrives([request.oneOff?.hostname ?? ''], args.drive)
  const rows: string[][] = []
  const cards = new Cards(args, context, targets.length > 1)
  return cards.tell(
    flash(
      { ...request, ...cardOptions(args), targets },
      callerOf(args, context, {
        ...cards.tellers,
        target(event) {
          cards.tellers.target?.(event)
          const { node, image, drive, found, was } = event
          rows.push([node, image, drive, found === undefined ? 'image file' : describeDrive(found, was)])
          if (rows.length === targets.length)
            output.noteText(formatTable(['NODE', 'IMAGE', 'DRIVE', ''], rows))
        },
      }),
    ),
  )
}

/** Every node, as cards are put in. */
async function flashAll(args: GlobalArgs & FlashArgs, context: Context): Promise<object> {
  const { world, output } = context
  const attended = world.stderr.isTTY === true
  if (!attended && (args.drive.length === 0 || !args.yes))
    throw new UsageError('--all without a terminal needs the readers by name, and --yes', {
      hint: 'For example: piimage flash --all --yes /dev/sda /dev/sdb',
    })
  const { drive: drives, again, node: nodes } = args
  const cards = new Cards(args, context, drives.length !== 1)
  return cards.tell(
    flashBatch(
      { ...common(args), ...cardOptions(args), nodes, drives, again, attended },
      callerOf(args, context, {
        ...cards.tellers,
        target(event) {
          cards.tellers.target?.(event)
          output.note(`${event.drive}: becomes ${event.node}`)
        },
        batch({ nodes, done }) {
          if (done > 0) output.note(`${done} of ${nodes} nodes have their card already (--again starts over)`)
        },
        outdated: ({ nodes }) =>
          output.warn(
            `${nodes.join(', ')}: made from an older cluster file, and would get something else now. ${againWith(nodes)}`,
          ),
        waiting: ({ node, left, nodes }) =>
          output.note(`Put in a card for ${node} (${left} of ${nodes} to go)`),
        refused: ({ drive, reason, hint }) =>
          output.note(`${drive}: ${reason}${hint === undefined ? '' : ` (${hint})`}`),
        done: ({ node, drive }) => output.note(`${drive}: take out the card and write "${node}" on it`),
      }),
    ),
  )
}

/** What became of the cards, one by one, and in a table when there was more than one. */
class Cards {
  readonly #args: FlashArgs
  readonly #output: Context['output']
  readonly #drives = new Map<string, string>()
  readonly #results = new Map<string, string>()
  readonly #logins: string[] = []
  readonly #files: string[] = []
  readonly #isOneOfMany: boolean

  constructor(args: FlashArgs, { output }: Context, isOneOfMany: boolean) {
    this.#args = args
    this.#output = output
    this.#isOneOfMany = isOneOfMany
  }

  readonly tellers: Tellers = {
    target: ({ node, drive, found }) => {
      this.#drives.set(node, drive)
      if (found === undefined) this.#files.push(drive)
    },
    flashed: (event) => {
      const { node, bytesWritten, seconds } = event
      this.#results.set(node, `done: ${formatBytes(bytesWritten)} in ${seconds.total.toFixed(0)} s`)
      this.#output.note(`${node}: ${this.#describe(this.#drives.get(node) ?? event.drive, event)}`)
      if (event.login !== undefined) this.#logins.push(event.login)
    },
    failed: ({ node, error }) => {
      this.#results.set(node, `failed: ${error.message}`)
      if (this.#isOneOfMany) this.#output.note(`${node}: failed: ${error.message}`)
    },
  }

  async tell<T>(work: Promise<T>): Promise<T> {
    try {
      const result = await work
      this.#printTable()
      this.#sayNext()
      return result
    } catch (error) {
      if (error instanceof PiimageError && !(error instanceof InterruptedError)) this.#printTable()
      throw error
    }
  }

  #sayNext(): void {
    const [first] = this.#logins
    const [file] = this.#files
    if (file !== undefined)
      this.#output.note(
        `${file} is a card as a file: any imager writes it as it is; piimage boot ${/[\\/]/.test(file) ? file : `./${file}`} starts it in QEMU`,
      )
    if (first === undefined || this.#files.length === this.#drives.size) return
    const which = this.#logins.length === 1 ? 'the card' : 'each card'
    this.#output.note(`Next: put ${which} into its board and switch it on; a few minutes later: ssh ${first}`)
    this.#output.note(
      'piimage export ssh-config -o ssh_config and piimage status know every node of the cluster.',
    )
  }

  #printTable(): void {
    if (this.#results.size < 2) return
    const rows = [...this.#drives].flatMap(([node, drive]) => {
      const result = this.#results.get(node)
      return result === undefined ? [] : [[node, drive, result]]
    })
    this.#output.noteText(formatTable(['NODE', 'DRIVE', 'RESULT'], rows))
  }

  #describe(drive: string, report: Extract<CardEvent, { event: 'flashed' }>): string {
    const { changedOnly, verify, probe } = this.#args
    const { bytesWritten, bytesCompared, bytesFoundZero } = report
    if (changedOnly && bytesWritten === 0)
      return `${drive} holds it already: ${formatBytes(bytesCompared)} compared, nothing written`
    const checked = verify ? 'read back and equal' : 'not read back (--no-verify)'
    const found = bytesFoundZero === 0 ? '' : ` (${formatBytes(bytesFoundZero)} of zeroes were there already)`
    const probed = probe ? 'it holds what it announces, ' : ''
    return `${formatBytes(bytesWritten)} written to ${drive}${found}, ${probed}${checked}`
  }
}

/** @throws {UsageError} flags that contradict each other */
function checkArgs(args: FlashArgs): void {
  const { all, node = [] } = args
  if (!all && node.length === 0 && !isOneOff(args))
    throw new UsageError('which node?', {
      hint: 'Name one of the cluster file: --node NAME; or --all, card after card; or make one without a file: --image IMAGE --hostname NAME',
    })
  if (all && isOneOff(args))
    throw new UsageError('--all is for the nodes of a cluster file', {
      hint: 'Name the one drive: --image IMAGE --hostname NAME /dev/sdX',
    })
  const paired = all ? node.find((word) => word.includes('=')) : undefined
  if (paired !== undefined)
    throw new UsageError(`--all gives cards to nodes as they are put in, and ${paired} names both`, {
      hint: 'Leave --all out, or name the node alone.',
    })
}
