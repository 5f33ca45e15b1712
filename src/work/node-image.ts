/** A base image and a node → that node's image: the base with its changes laid over. */
import { createHash } from 'node:crypto'
import { type BootFiles, rememberedBootFiles } from '../boot/boot-files.ts'
import type { Node } from '../cluster/node.ts'
import { applyBootPlan, bootFilesOfVolume } from '../customise/apply-boot-plan.ts'
import { describeBootPlan } from '../customise/describe-boot-plan.ts'
import { type BootPlan, type FileChange, planBoot } from '../customise/plan-boot.ts'
import { RECEIPT_FILE } from '../customise/receipt.ts'
import { type BlockReader, mergeRanges, type Range } from '../disk/blocks.ts'
import { newestTime, openBootVolume } from '../disk/boot-volume.ts'
import { Changes } from '../disk/changes.ts'
import { rememberedReader } from '../disk/remembered-reader.ts'
import { findRootFacts } from '../root/find-root.ts'
import type { RootFacts } from '../root/root-facts.ts'
import type { NodePlan } from './events.ts'
import type { BaseImage } from './image-pipeline.ts'
import { whyNobodyLogsIn } from './login.ts'
import type { Project } from './project.ts'

/** What makes the base this node's. */
export interface NodeChanges {
  node: Node
  base: BaseImage
  plan: BootPlan
  changes: Changes
}

export interface NodeImage extends NodeChanges {
  /** What must be written: what the file systems use, and what changed. */
  ranges: Range[]
}

/** The node's image of a base that is whole. */
export async function buildNodeImage(project: Project, node: Node, base: BaseImage): Promise<NodeImage> {
  const image = await planNodeChanges(project, node, base)
  return { ...image, ranges: mergeRanges([...(await base.used.all()), ...image.changes.ranges()]) }
}

/** What all nodes of a base read, and is read once. */
interface Shared {
  reader: BlockReader
  boot: () => Promise<BootFiles>
  /** undefined where its root can't be read. */
  root: () => Promise<RootFacts | undefined>
}

const shared = new WeakMap<BaseImage, Shared>()

function sharedOf(base: BaseImage): Shared {
  const there = shared.get(base)
  if (there !== undefined) return there
  const reader = rememberedReader(base.reader)
  let files: Promise<BootFiles> | undefined
  const boot = () => {
    files ??= openBootVolume(reader).then(({ volume, partition }) =>
      rememberedBootFiles(bootFilesOfVolume(volume, partition)),
    )
    return files
  }
  let facts: Promise<RootFacts | undefined> | undefined
  const root = () => {
    facts ??= findRootFacts(reader)
    return facts
  }
  const made = { reader, boot, root }
  shared.set(base, made)
  return made
}

/** Of a base that is still growing only the boot partition is read: it need not have more. */
export async function planNodeChanges(project: Project, node: Node, base: BaseImage): Promise<NodeChanges> {
  const { reader, boot, root } = sharedOf(base)
  const changes = new Changes(reader)
  const { cluster, overlays, extras } = project
  const image = project.imageOf(node)
  const plan = await planBoot({
    cluster,
    node,
    image,
    boot: await boot(),
    root: base.whole ? await root() : undefined,
    overlays,
    keys: project.release === true ? undefined : await project.keys(),
    published: project.release,
    extras,
    written: { key: image.key, extractedSha256: base.sha256, extractedSize: base.length },
  })
  plan.warnings.push(...warningsOf(project, node, plan))
  const { volume } = await openBootVolume(changes)
  await applyBootPlan(plan, volume, await newestTime(volume))
  return { node, base, plan, changes }
}

/** What a person should know before a card is written that the plan itself does not say. */
export function warningsOf(
  { extras, release }: Pick<Project, 'extras' | 'release'>,
  node: Node,
  plan: BootPlan,
): string[] {
  // Whoever gets a released image makes an account of their own.
  const locked = release === true ? undefined : whyNobodyLogsIn(node, plan, extras)
  const isDiskless = node.boot === 'net' ? `${node.name} boots from the network and needs no card` : undefined
  return [locked, isDiskless].filter((warning) => warning !== undefined)
}

/** What a card gets, in one digest: it changes when the node, its overlays, its keys or the image do. */
export function digestOfPlan(plan: BootPlan): string {
  const hash = createHash('sha256')
  for (const { path, after } of plan.files) {
    // It names the version of piimage, and digests of the others.
    if (path === RECEIPT_FILE) continue
    hash.update(`${path}\0${after?.length ?? 'gone'}\0`).update(after ?? '')
  }
  return hash.digest('hex')
}

/** In words and numbers. */
export function describePlan({ node, base, plan, changes, ranges }: NodeImage): NodePlan {
  const { family, release, evidence } = plan.os
  return {
    node: node.name,
    image: base.key,
    sha256: base.sha256,
    imageBytes: base.length,
    bytesToWrite: ranges.reduce((sum, range) => sum + range.length, 0),
    sectorsChanged: changes.sectorCount,
    os: { ...plan.os, family, release, evidence },
    files: plan.files.map(describeFile),
    diff: describeBootPlan(plan),
    warnings: plan.warnings,
  }
}

const describeFile = ({ path, before, after }: FileChange): NodePlan['files'][number] => ({
  path,
  change: before === null ? 'created' : after === null ? 'removed' : 'changed',
  bytesBefore: before?.length ?? null,
  bytesAfter: after?.length ?? null,
})
