/**
 * `piimage flash`: write each node's image to its card and read it back.
 * Turns words into pairs of node and drive, shows them, asks, and hands each
 * node's image to src/flash. Knows no format and opens no drive.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Node } from '../cluster/node.ts'
import type { Drive } from '../drives/drive.ts'
import { guardDrive } from '../drives/guard.ts'
import { InterruptedError, PartialError, PiimageError, UsageError } from '../errors.ts'
import type { CardReport } from '../flash/card.ts'
import { openDriveTarget, openFileTarget } from '../flash/target.ts'
import { writeCard } from '../flash/write.ts'
import type { Task } from '../progress.ts'
import { formatTable } from '../report/table.ts'
import { formatBytes } from '../units.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'
import { type BaseImages, openBases } from './support/base-image.ts'
import { describeDrive } from './support/describe-drive.ts'
import { buildNodeImage, type NodeImage } from './support/node-image.ts'
import { type Pair, pairNodesWithDrives } from './support/pairs.ts'
import { cacheFolder, findNode, openProject, type Project } from './support/project.ts'

interface FlashArgs {
  drive: string[]
  node: string[]
  serial?: string
  unmount: boolean
  verify: boolean
}

/** One card to be written: a node, where it goes, and the drive there (undefined: an .img file). */
interface Target extends Pair {
  resolved: Node
  found: Drive | undefined
}

type Outcome = { node: string; drive: string } & ({ report: CardReport } | { error: PiimageError })

export const flashCommand = defineCommand<FlashArgs>({
  command: 'flash [drive..]',
  describe: 'Write nodes to their cards, and read the cards back',
  builder: (cli) =>
    cli
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
      .option('verify', {
        type: 'boolean',
        default: true,
        describe: 'Read back what was written (--no-verify)',
      })
      .example('$0 flash --node oneil /dev/disk2', 'One card')
      .example('$0 flash --node oneil=oneil.img', 'The same, into a file'),
  async run(args, context) {
    const { world } = context
    const pairs = pairNodesWithDrives(args.node, args.drive)
    const project = await openProject(args, context)
    await project.keys()
    const targets: Target[] = []
    for (const pair of pairs) targets.push(await findTarget(pair, project, args, context))
    describeTargets(targets, context)
    if (
      targets.some((target) => target.found !== undefined || existsSync(resolve(world.cwd, target.drive)))
    ) {
      if (!args.yes && !(await world.confirm('Everything on them is erased. Go on?'))) {
        throw new UsageError('not confirmed, nothing was written', { hint: '--yes answers for you' })
      }
    }
    const bases = await openBases(args, context)
    try {
      const outcomes: Outcome[] = []
      for (const target of targets) outcomes.push(await flashOne(target, project, bases, args, context))
      return summarise(outcomes, context)
    } finally {
      await bases.close()
    }
  },
})

const isImagePath = (path: string): boolean => path.endsWith('.img')

/** Refuse what must not be written to before anything is fetched or asked. */
async function findTarget(
  pair: Pair,
  project: Project,
  args: GlobalArgs & FlashArgs,
  context: Context,
): Promise<Target> {
  const resolved = findNode(project.cluster, pair.node)
  const image = project.imageOf(resolved)
  const found = isImagePath(pair.drive)
    ? undefined
    : await guard(pair.drive, image.extracted?.size ?? 0, args, context)
  return { ...pair, resolved, found }
}

const guard = (
  path: string,
  imageLength: number,
  args: GlobalArgs & FlashArgs,
  { world }: Context,
): Promise<Drive> =>
  guardDrive(resolve(world.cwd, path), imageLength, {
    ...(args.serial === undefined ? {} : { serial: args.serial }),
    unmount: args.unmount,
    cachePath: cacheFolder(args, world),
    platform: world.platform,
  })

function describeTargets(targets: readonly Target[], { output }: Context): void {
  for (const target of targets) {
    output.event('target', { node: target.node, drive: target.drive, image: target.resolved.image })
  }
  const rows = targets.map((target) => [
    target.node,
    target.resolved.image,
    target.drive,
    target.found === undefined ? 'image file' : describeDrive(target.found),
  ])
  output.note(formatTable(['NODE', 'IMAGE', 'DRIVE', ''], rows))
}

async function flashOne(
  target: Target,
  project: Project,
  bases: BaseImages,
  args: GlobalArgs & FlashArgs,
  context: Context,
): Promise<Outcome> {
  const { output } = context
  const { node, drive } = target
  try {
    const base = await bases.open(project.imageOf(target.resolved))
    const image = await buildNodeImage(project, target.resolved, base)
    for (const warning of image.plan.warnings) output.warn(`${node}: ${warning}`)
    if (target.found !== undefined) {
      // The image's size is known now, and the drive may have been mounted meanwhile.
      await guard(target.found.path, base.length, args, context)
    }
    const report = await writeTo(target, image, args, context)
    output.event('flashed', { node, ...report })
    output.note(
      `${node}: ${formatBytes(report.bytesWritten)} written to ${drive}, ${
        args.verify ? 'read back and equal' : 'not read back (--no-verify)'
      }`,
    )
    return { node, drive, report }
  } catch (error) {
    if (!(error instanceof PiimageError) || error instanceof InterruptedError) throw error
    output.event('failed', {
      node,
      drive,
      error: { name: error.name, message: error.message, hint: error.hint },
    })
    return { node, drive, error }
  }
}

/** Open the card or file, and write it. */
async function writeTo(
  target: Target,
  image: NodeImage,
  args: FlashArgs,
  { world, output }: Context,
): Promise<CardReport> {
  const task: Task = { report: output.progress, signal: world.signal }
  const { base, changes, ranges } = image
  const path = resolve(world.cwd, target.drive)
  const opened =
    target.found === undefined
      ? await openFileTarget(path, base.length, { overwrite: true })
      : await openDriveTarget(target.found)
  try {
    return await writeCard(
      {
        target: opened,
        image: changes,
        ranges,
        verified: () => base.verified(task),
        verify: args.verify,
        node: target.node,
      },
      task,
    )
  } finally {
    await opened.close()
  }
}

/** One card's failure is its own error; of several, a table says who is done. */
function summarise(outcomes: readonly Outcome[], { output }: Context): object {
  const failed = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []))
  const [first] = failed
  if (first === undefined) return { flashed: outcomes.map(({ node, drive }) => ({ node, drive })) }
  if (outcomes.length === 1) throw first.error
  output.note(
    formatTable(
      ['NODE', 'DRIVE', 'RESULT'],
      outcomes.map((outcome) => [
        outcome.node,
        outcome.drive,
        'error' in outcome ? `failed: ${outcome.error.message}` : 'done',
      ]),
    ),
  )
  throw new PartialError(
    `${failed.length} of ${outcomes.length} nodes failed: ${failed.map((f) => f.node).join(', ')}`,
    {
      hint: 'The others are done. Run again with only the failed ones.',
    },
  )
}
