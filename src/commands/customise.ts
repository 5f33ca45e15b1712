/**
 * `piimage customise`: another identity, or other settings, for what is there
 * already. Only the boot partition is changed; what lies on the root file system
 * stays, so a node that has booted keeps what it did there.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { LockedImage } from '../catalog/locked-image.ts'
import type { Node } from '../cluster/node.ts'
import { applyBootPlan, bootFilesOfVolume } from '../customise/apply-boot-plan.ts'
import { describeBootPlan } from '../customise/describe-boot-plan.ts'
import { type BootPlan, planBoot } from '../customise/plan-boot.ts'
import { type Receipt, readReceipt } from '../customise/receipt.ts'
import type { BlockReader } from '../disk/blocks.ts'
import { Changes } from '../disk/changes.ts'
import type { Drive } from '../drives/drive.ts'
import { openCard } from '../drives/open-card.ts'
import { UsageError } from '../errors.ts'
import { patchCard } from '../flash/patch.ts'
import { openDriveTarget, openImageTarget, type Target } from '../flash/target.ts'
import { formatBytes } from '../units.ts'
import { lockFileOrRefuse } from '../work/file-lock.ts'
import { guardCard, leaveCard } from '../work/flash-card.ts'
import { newestTime, openBootVolume } from '../work/node-image.ts'
import { imageOfCard, isOneOff, type OneOffArgs, oneOffFlags, openAnyProject } from '../work/one-off.ts'
import { findNode, type Project } from '../work/project.ts'
import { type Context, defineCommand } from './command.ts'
import { describeDrive } from './describe-drive.ts'
import { type DriveArgs, driveFlags } from './drive-flags.ts'

interface CustomiseArgs extends OneOffArgs, DriveArgs {
  path: string
  node?: string
  'dry-run': boolean
}

export const customiseCommand = defineCommand<CustomiseArgs>({
  command: 'customise <path>',
  describe: 'Make a card or an image another node, without writing it anew',
  builder: (cli) =>
    driveFlags(oneOffFlags(cli))
      .positional('path', { type: 'string', demandOption: true, describe: 'Whole drive, or raw image file' })
      .option('node', { type: 'string', nargs: 1, describe: 'What it shall be' })
      .option('dry-run', { type: 'boolean', default: false, describe: 'Show the changes, write nothing' })
      .example('$0 customise /dev/sdX --node carter', 'Another identity for this card')
      .example('$0 customise sgc.img --node oneil', 'Your settings for a released image')
      .example('$0 customise /dev/sdX --hostname pi', 'Without a cluster file'),
  async run(args, context) {
    const { world, output } = context
    const path = resolve(world.cwd, args.path)
    if (args.node === undefined && !isOneOff(args))
      throw new UsageError('which node?', {
        hint: 'Name one of the cluster file: --node NAME; or make one without a file: --hostname NAME',
      })
    const drive = args['dry-run'] || isFile(path) ? undefined : await guardCard(path, 0, args, context)
    // Nobody else changes it between its reading and its writing.
    const held = args['dry-run'] ? undefined : await hold(path, args, drive, world)
    const card = await openCard(drive?.path ?? path, args.path).catch(async (error) => {
      await held?.close()
      throw error
    })
    try {
      const onCard = await imageOn(card, args)
      const project = await openAnyProject(args, context, { onCard })
      const node = chooseNode(project, args)
      const { plan, changes, earlier } = await planCard(card, args.path, node, project)
      for (const warning of plan.warnings) output.warn(`${node.name}: ${warning}`)
      const facts = { path, node: node.name, was: earlier?.node ?? null, files: plan.files.length }
      output.event('planned', { ...facts, sectors: changes.sectorCount })
      if (held === undefined) {
        output.printText(describeBootPlan(plan))
        return { ...facts, written: false }
      }
      if (changes.sectorCount === 0) {
        output.print(`${args.path} is ${node.name} already, nothing was written`)
        return { ...facts, written: false }
      }
      output.note(describeChange(args.path, drive, node, earlier, plan))
      if (drive !== undefined && !args.yes && !(await world.confirm('Go on?')))
        throw new UsageError('not confirmed, nothing was written', { hint: '--yes answers for you' })
      const report = await patchCard(
        { target: held.target, before: card, after: changes, ranges: changes.ranges() },
        { report: output.progress, signal: world.signal },
      )
      if (drive !== undefined && world.platform === 'darwin') {
        await card.close()
        await held.close()
        await leaveCard(drive, context)
      }
      output.event('customised', { ...facts, ...report })
      output.print(
        `${args.path} is ${node.name}: ${formatBytes(report.bytesWritten)} of its boot partition written, read back and equal`,
      )
      output.note('The root file system is as it was: what the card did before stays there.')
      return { ...facts, written: true }
    } finally {
      await card.close()
      await held?.close()
    }
  },
})

interface Held {
  target: Target
  close(): Promise<void>
}

/** Open what will be changed, for this process alone. */
async function hold(
  path: string,
  args: CustomiseArgs,
  drive: Drive | undefined,
  { platform, signal }: Context['world'],
): Promise<Held> {
  if (drive !== undefined) {
    const target = await openDriveTarget(drive, platform)
    return { target, close: () => target.close() }
  }
  const lock = await lockFileOrRefuse(path, `is changing ${args.path}`, signal)
  try {
    const target = await openImageTarget(path)
    const close = async () => {
      await target.close()
      lock.release()
    }
    return { target, close }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Of a node without a cluster file that doesn't name its image: the one that is there. */
async function imageOn(card: BlockReader, args: CustomiseArgs): Promise<LockedImage | undefined> {
  if (!isOneOff(args) || args.image !== undefined) return undefined
  const { volume } = await openBootVolume(card)
  const receipt = await readReceipt(bootFilesOfVolume(volume))
  return imageOfCard(receipt?.image?.key)
}

function chooseNode({ cluster }: Project, { node }: CustomiseArgs): Node {
  const [only] = cluster.nodes
  if (node !== undefined || only === undefined) return findNode(cluster, node ?? '')
  return only
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false

async function planCard(
  card: BlockReader,
  name: string,
  node: Node,
  project: Project,
): Promise<{ plan: BootPlan; changes: Changes; earlier: Receipt | undefined }> {
  const changes = new Changes(card)
  const { volume } = await openBootVolume(changes)
  const boot = bootFilesOfVolume(volume)
  const earlier = await readReceipt(boot)
  const image = project.imageOf(node)
  if (earlier?.image !== undefined && earlier.image.key !== image.key) {
    throw new UsageError(`${name} holds ${earlier.image.key}; ${node.name} is for ${image.key}`, {
      hint: `Give ${node.name} that image in ${project.cluster.file}, or write the card anew: piimage flash --node ${node.name}`,
    })
  }
  const plan = await planBoot({
    cluster: project.cluster,
    node,
    image,
    boot,
    overlays: project.overlays,
    keys: await project.keys(),
    extras: project.extras,
    written: earlier?.image,
  })
  if (earlier === undefined)
    plan.warnings.push(`${name} has no receipt: it is taken for ${image.key} as published`)
  await applyBootPlan(plan, volume, await newestTime(volume))
  return { plan, changes, earlier }
}

function describeChange(
  name: string,
  drive: Drive | undefined,
  node: Node,
  earlier: Receipt | undefined,
  plan: BootPlan,
): string {
  const was = earlier === undefined ? 'not known to piimage' : `${earlier.node} of ${earlier.cluster}`
  const what = drive === undefined ? '' : ` (${describeDrive(drive)})`
  return `${name}${what}: ${was}, becomes ${node.name}; ${plan.files.length} files of the boot partition change`
}
