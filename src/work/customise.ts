/**
 * `customise`: another identity, or other settings, for what is there already.
 * Only the boot partition is changed; what lies on the root file system stays,
 * so a node that has booted keeps what it did there.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Node } from '../cluster/node.ts'
import { applyBootPlan, bootFilesOfVolume } from '../customise/apply-boot-plan.ts'
import { describeBootPlan } from '../customise/describe-boot-plan.ts'
import { type BootPlan, planBoot } from '../customise/plan-boot.ts'
import { type Receipt, readReceipt } from '../customise/receipt.ts'
import type { BlockReader } from '../disk/blocks.ts'
import { newestTime, openBootVolume } from '../disk/boot-volume.ts'
import { Changes } from '../disk/changes.ts'
import type { Drive } from '../drives/drive.ts'
import { openCard } from '../drives/open-card.ts'
import { UsageError } from '../errors.ts'
import { patchCard } from '../flash/patch.ts'
import { openDriveTarget, openImageTarget, type Target } from '../flash/target.ts'
import { checkCard } from '../rehearsal/card/check-card.ts'
import { findRootFacts } from '../root/find-root.ts'
import { faultsOf, refuseFaults } from './boot-check.ts'
import { type Caller, taskOf } from './caller.ts'
import { readExtraFiles } from './extra-files.ts'
import { lockFileOrRefuse } from './file-lock.ts'
import { guardCard, leaveCard } from './flash-card.ts'
import { warningsOf } from './node-image.ts'
import { type ImageFacts, type NodesRequest, oneNodeProject, openNodes } from './one-off.ts'
import { findNode, type Project, withOs } from './project.ts'

export interface CustomiseRequest extends NodesRequest {
  /** Whole drive, or raw image file. */
  path: string
  /** What it shall be: a node of the cluster file; without one, `oneOff` says it. */
  node?: string
  /** The drive must have this serial: needed for one over 256 GB. */
  serial?: string
  /** Unmount what was mounted from the card. */
  unmount?: boolean
  /** Only tell the changes. */
  dryRun?: boolean
}

export interface Customised {
  path: string
  node: string
  /** The node that it was; null: nothing that piimage knows. */
  was: string | null
  /** How many files of the boot partition differ. */
  files: number
  written: boolean
}

/** Asks before a drive is changed. */
export async function customise(request: CustomiseRequest, caller: Caller): Promise<Customised> {
  if (request.node === undefined && request.oneOff === undefined)
    throw new UsageError('which node?', {
      hint: 'Name one of the cluster file: --node NAME; or make one without a file: --hostname NAME',
    })
  const path = resolve(caller.cwd, request.path)
  // The refusals of `flash`; whether the partitions fit is judged when the table is read.
  const drive = request.dryRun || isFile(path) ? undefined : await guardCard(path, 0, request, caller)
  // Nobody else changes it between its reading and its writing.
  const held = request.dryRun ? undefined : await hold(path, request.path, drive, caller)
  const card = await openCard(drive?.path ?? path, request.path).catch(async (error) => {
    await held?.close()
    throw error
  })
  try {
    const { project, node, image } = await openFor(card, request, caller)
    const { plan, changes, earlier } = await planCard(card, request.path, node, image, project)
    for (const message of plan.warnings) caller.onEvent({ event: 'warning', node: node.name, message })
    const facts = { path, node: node.name, was: earlier?.node ?? null, files: plan.files.length }
    caller.onEvent({
      event: 'planned',
      ...facts,
      sectors: changes.sectorCount,
      cluster: earlier?.cluster,
      found: drive,
      diff: describeBootPlan(plan),
    })
    const check = await checkCard({ image: changes, model: node.model, serial: node.serial })
    for (const message of faultsOf(check)) caller.onEvent({ event: 'warning', node: node.name, message })
    if (request.force !== true) refuseFaults(check, node.name, '--force changes it all the same.')
    if (held === undefined || changes.sectorCount === 0) return { ...facts, written: false }
    if (drive !== undefined && !(await caller.confirm({ about: 'change', path, node: node.name })))
      throw new UsageError('not confirmed, nothing was written', { hint: '--yes answers for you' })
    const report = await patchCard(
      { target: held.target, before: card, after: changes, ranges: changes.ranges() },
      taskOf(caller),
    )
    if (drive !== undefined && caller.platform === 'darwin') {
      await card.close()
      await held.close()
      await leaveCard(drive, caller)
    }
    caller.onEvent({ event: 'customised', ...facts, ...report })
    return { ...facts, written: true }
  } finally {
    await card.close()
    await held?.close()
  }
}

interface Held {
  target: Target
  close(): Promise<void>
}

/** Open what will be changed, for this process alone. */
async function hold(
  path: string,
  shownAs: string,
  drive: Drive | undefined,
  { platform, signal }: Caller,
): Promise<Held> {
  if (drive !== undefined) {
    const target = await openDriveTarget(drive, platform)
    return { target, close: () => target.close() }
  }
  const lock = await lockFileOrRefuse(path, `is changing ${shownAs}`, signal)
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

interface Opened {
  project: Omit<Project, 'imageOf'>
  node: Node
  image: ImageFacts
}

/** The project, the node, and what is known of the image that the card was made from. */
async function openFor(card: BlockReader, request: CustomiseRequest, caller: Caller): Promise<Opened> {
  const { oneOff, os } = request
  if (oneOff !== undefined && oneOff.image === undefined) {
    const image = await imageOn(card)
    const extras = await readExtraFiles(request, caller)
    const project = withOs({ ...(await oneNodeProject(oneOff, image, caller)), extras }, os)
    return { project, node: findNode(project.cluster, oneOff.hostname), image }
  }
  const project = await openNodes(request, caller)
  const node = findNode(project.cluster, request.node ?? oneOff?.hostname ?? '')
  return { project, node, image: project.imageOf(node) }
}

/** In the place of an image's key where no receipt names one. */
const UNKNOWN_IMAGE = 'unknown-arm64-card@unknown'

/** What a card says it was made from. */
async function imageOn(card: BlockReader): Promise<ImageFacts> {
  const { volume } = await openBootVolume(card)
  const key = (await readReceipt(bootFilesOfVolume(volume)))?.image?.key ?? UNKNOWN_IMAGE
  return { key, version: key.split('@')[1] ?? '', arch: key.includes('armhf') ? 'armhf' : 'arm64' }
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false

async function planCard(
  card: BlockReader,
  name: string,
  node: Node,
  image: ImageFacts,
  project: Omit<Project, 'imageOf'>,
): Promise<{ plan: BootPlan; changes: Changes; earlier: Receipt | undefined }> {
  const changes = new Changes(card)
  const { volume, partition } = await openBootVolume(changes)
  const boot = bootFilesOfVolume(volume, partition)
  const earlier = await readReceipt(boot)
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
    root: await findRootFacts(card),
    overlays: project.overlays,
    keys: await project.keys(),
    extras: project.extras,
    written: earlier?.image,
  })
  plan.warnings.push(...warningsOf(project, node, plan))
  if (earlier === undefined)
    plan.warnings.push(
      `${name} has no receipt: it is taken for ${image.key === UNKNOWN_IMAGE ? 'an image' : image.key} as published`,
    )
  await applyBootPlan(plan, volume, await newestTime(volume))
  return { plan, changes, earlier }
}
