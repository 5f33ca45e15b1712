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
import { type Context, defineCommand, type GlobalArgs } from './command.ts'
import { openBases } from './support/base-image.ts'
import { describeDrive } from './support/describe-drive.ts'
import {
  type CardArgs,
  type CardTarget,
  type FlashJob,
  flashCard,
  guardCard,
  type Outcome,
  summarise,
} from './support/flash-card.ts'
import { type Pair, pairNodesWithDrives } from './support/pairs.ts'
import { findNode, openProject, type Project } from './support/project.ts'

interface FlashArgs extends CardArgs {
  drive: string[]
  node: string[]
}

export const flashCommand = defineCommand<FlashArgs>({
  command: 'flash [drive..]',
  describe: 'Write nodes to their cards, and read the cards back',
  builder: (cli) => {
    const flags = cli
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
        demandOption: true,
        describe: 'Node for each drive, in order; or NODE=DRIVE',
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
      .option('verify', {
        type: 'boolean',
        default: true,
        describe: 'Read back what was written (--no-verify)',
      })
      .option('retries', {
        type: 'number',
        nargs: 1,
        default: 2,
        describe: 'How often a range that reads back wrong is written again',
      })
      .option('serial', {
        type: 'string',
        nargs: 1,
        describe: "The drive's serial: needed for one over 256 GB",
      })
      .option('unmount', {
        type: 'boolean',
        default: false,
        describe: 'Unmount what was mounted from the card',
      })
      .example('$0 flash --node oneil /dev/disk2', 'One card')
      .example('$0 flash --node oneil=oneil.img', 'The same, into a file')
    // yargs hands over `--changed-only` as `changedOnly` (cli.ts strips the dashed name), but types say otherwise.
    return flags as unknown as Argv<GlobalArgs & FlashArgs>
  },
  async run(args, context) {
    checkArgs(args)
    const { world } = context
    const pairs = pairNodesWithDrives(args.node, args.drive)
    const project = await openProject(args, context)
    await project.keys()
    const targets: CardTarget[] = []
    for (const pair of pairs) targets.push(await findTarget(pair, project, args, context))
    refuseSameDrive(targets)
    describeTargets(targets, context)
    const isErasing = ({ found, drive }: CardTarget) =>
      found !== undefined || existsSync(resolve(world.cwd, drive))
    if (targets.some(isErasing) && !args.yes) {
      if (!(await world.confirm('Everything on them is erased. Go on?'))) {
        throw new UsageError('not confirmed, nothing was written', { hint: '--yes answers for you' })
      }
    }
    const bases = await openBases(args, context)
    try {
      return summarise(
        await flashAll(targets, { project, bases, args, context, cards: targets.length }),
        context,
      )
    } finally {
      await bases.close()
    }
  },
})

/** @throws {UsageError} flags that contradict each other */
function checkArgs({ retries, changedOnly, node, drive }: FlashArgs): void {
  if (!Number.isSafeInteger(retries) || retries < 0)
    throw new UsageError(`--retries ${retries} is no number of times`, { hint: 'For example --retries 2' })
  const file = [...node.map((word) => word.replace(/^[^=]*=/, '')), ...drive].find(isImagePath)
  if (changedOnly && file !== undefined)
    throw new UsageError(`--changed-only is for cards; ${file} is a file, which is always made anew`, {
      hint: 'Leave --changed-only out, or name a drive.',
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
    const other = found === undefined ? undefined : seen.get(found.path)
    if (other !== undefined) throw new UsageError(`${other} and ${drive} are the same drive`)
    if (found !== undefined) seen.set(found.path, drive)
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
  output.note(formatTable(['NODE', 'IMAGE', 'DRIVE', ''], rows))
}

/** All cards at once. Each ends by itself, whatever becomes of the others. */
async function flashAll(targets: readonly CardTarget[], job: FlashJob): Promise<Outcome[]> {
  const ended = await Promise.allSettled(targets.map((target) => flashCard(target, job)))
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}
