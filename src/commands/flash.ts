/**
 * `piimage flash`: write each node's image to its card and read it back, all
 * cards at once. Turns words into pairs of node and drive, shows them, asks,
 * and hands each node's image to src/flash. Knows no format and opens no drive.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Argv } from 'yargs'
import { UsageError } from '../errors.ts'
import { formatTable } from '../report/table.ts'
import { openBases } from '../work/base-image.ts'
import { requireNamed } from '../work/card-content.ts'
import {
  type CardArgs,
  type CardTarget,
  type FlashJob,
  flashCard,
  guardCard,
  type Outcome,
  summarise,
} from '../work/flash-card.ts'
import { isOneOff, type OneOffArgs, oneOffFlags, openAnyProject } from '../work/one-off.ts'
import { findNode, openProject, type Project } from '../work/project.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'
import { describeDrive } from './describe-drive.ts'
import { driveFlags } from './drive-flags.ts'
import { type Pair, pairNodesWithDrives } from './pairs.ts'

interface FlashArgs extends CardArgs, OneOffArgs {
  drive: string[]
  node?: string[]
  all: boolean
  again: boolean
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
  async run(args, context) {
    checkArgs(args)
    return args.all ? flashBatch(args, context) : flashPairs(args, context)
  },
})

/** The nodes and drives that were named, all at once. */
async function flashPairs(args: GlobalArgs & FlashArgs, context: Context): Promise<object> {
  const { world } = context
  if (args.node !== undefined) pairNodesWithDrives(args.node, args.drive)
  else if (args.drive.length > 1)
    throw new UsageError(`a node without a cluster file goes on one drive, not ${args.drive.length}`, {
      hint: 'Describe several in a cluster file: piimage init',
    })
  const project = await openAnyProject(args, context)
  const pairs = pairNodesWithDrives(args.node ?? project.cluster.nodes.map(({ name }) => name), args.drive)
  await project.keys()
  const targets: CardTarget[] = []
  for (const pair of pairs) targets.push(await findTarget(pair, project, args, context))
  refuseSameDrive(targets)
  describeTargets(targets, context)
  if (args.yes)
    for (const { found } of targets) if (found !== undefined) await requireNamed(found, args.erase ?? [])
  const isErasing = ({ found, drive }: CardTarget) =>
    found !== undefined || existsSync(resolve(world.cwd, drive))
  if (targets.some(isErasing) && !args.yes) {
    if (!(await world.confirm('Everything on them is erased. Go on?'))) {
      throw new UsageError('not confirmed, nothing was written', { hint: '--yes answers for you' })
    }
  }
  const bases = await openBases(args, context)
  try {
    const outcomes = await flashAll(targets, { project, bases, args, context, cards: targets.length })
    return summarise(outcomes, context)
  } finally {
    await bases.close()
  }
}

/** Every node, as cards are put in. */
async function flashBatch(args: GlobalArgs & FlashArgs, context: Context): Promise<object> {
  const { runBatch } = await import('../work/batch.ts')
  const project = await openProject(args, context)
  await project.keys()
  const nodes =
    args.node?.map((name) => findNode(project.cluster, name)) ??
    project.cluster.nodes.filter(({ boot }) => boot === 'card')
  const bases = await openBases(args, context)
  try {
    const cards = args.drive.length || MOST_READERS
    const { drive: drives, again } = args
    return await runBatch({ nodes, drives, again }, { project, bases, args, context, cards })
  } finally {
    await bases.close()
  }
}

/** Readers that memory is kept for, where none are named. */
const MOST_READERS = 8

/** @throws {UsageError} flags that contradict each other */
function checkArgs(args: FlashArgs): void {
  const { retries, changedOnly, probe, all, node = [], drive } = args
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
  if (!Number.isSafeInteger(retries) || retries < 0)
    throw new UsageError(`--retries ${retries} is no number of times`, { hint: 'For example --retries 2' })
  const file = [...node.map((word) => word.replace(/^[^=]*=/, '')), ...drive].find(isImagePath)
  if (all && file !== undefined)
    throw new UsageError(`--all is for cards; ${file} is a file`, { hint: 'piimage bake --all makes files.' })
  if (changedOnly && file !== undefined)
    throw new UsageError(`--changed-only is for cards; ${file} is a file, which is always made anew`, {
      hint: 'Leave --changed-only out, or name a drive.',
    })
  if (probe && changedOnly)
    throw new UsageError('--probe writes all over the card, and --changed-only keeps what is there', {
      hint: 'Leave one of them out.',
    })
  if (probe && file !== undefined)
    throw new UsageError(`--probe is for cards; ${file} is a file, which is as large as it says`, {
      hint: 'Leave --probe out, or name a drive.',
    })
}

const isImagePath = (path: string): boolean => path.endsWith('.img')

/** Refuse what must not be written to before anything is fetched or asked. */
async function findTarget(
  { node: name, drive }: Pair,
  project: Project,
  args: GlobalArgs & FlashArgs,
  context: Context,
): Promise<CardTarget> {
  const node = findNode(project.cluster, name)
  const imageLength = project.imageOf(node).extracted?.size ?? 0
  const found = isImagePath(drive) ? undefined : await guardCard(drive, imageLength, args, context)
  return { node, drive, found }
}

/** One drive has many names (`/dev/disk/by-id/…`). */
function refuseSameDrive(targets: readonly CardTarget[]): void {
  const seen = new Map<string, string>()
  for (const { drive, found } of targets) {
    // One file may lie behind two loop devices.
    const medium = found?.backing ?? found?.path
    const other = medium === undefined ? undefined : seen.get(medium)
    if (other !== undefined) throw new UsageError(`${other} and ${drive} are the same drive`)
    if (medium !== undefined) seen.set(medium, drive)
  }
}

function describeTargets(targets: readonly CardTarget[], { output }: Context): void {
  for (const { node, drive } of targets) output.event('target', { node: node.name, drive, image: node.image })
  const rows = targets.map(({ node, drive, found }) => [
    node.name,
    node.image,
    drive,
    found === undefined ? 'image file' : describeDrive(found),
  ])
  output.noteText(formatTable(['NODE', 'IMAGE', 'DRIVE', ''], rows))
}

/** All cards at once. Each ends by itself, whatever becomes of the others. */
async function flashAll(targets: readonly CardTarget[], job: FlashJob): Promise<Outcome[]> {
  const ended = await Promise.allSettled(targets.map((target) => flashCard(target, job)))
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}
