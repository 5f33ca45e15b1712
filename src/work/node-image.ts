/** A base image and a node → that node's image: the base with its changes laid over. */
import type { Node } from '../cluster/node.ts'
import { applyBootPlan, bootFilesOfVolume } from '../customise/apply-boot-plan.ts'
import { type BootPlan, planBoot } from '../customise/plan-boot.ts'
import type { BlockReader, Range } from '../disk/blocks.ts'
import { mergeRanges } from '../disk/blocks.ts'
import { type BlockEditor, Changes } from '../disk/changes.ts'
import { FatVolume } from '../disk/fat/volume.ts'
import type { Partition } from '../disk/mbr.ts'
import { readPartitions } from '../disk/partitions.ts'
import { FormatError } from '../errors.ts'
import type { BaseImage } from './base-image.ts'
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

/** Reads only the boot partition: a base that is still growing need not have more. */
export async function planNodeChanges(project: Project, node: Node, base: BaseImage): Promise<NodeChanges> {
  const changes = new Changes(base.reader)
  const { volume } = await openBootVolume(changes)
  const image = project.imageOf(node)
  const plan = await planBoot({
    cluster: project.cluster,
    node,
    image,
    boot: bootFilesOfVolume(volume),
    overlays: project.overlays,
    keys: project.release === true ? undefined : await project.keys(),
    extras: project.extras,
    written: { key: image.key, extractedSha256: base.sha256, extractedSize: base.length },
  })
  await applyBootPlan(plan, volume, await newestTime(volume))
  return { node, base, plan, changes }
}

/**
 * The boot partition: the first partition with a FAT file system.
 * @throws {FormatError} there is none
 */
export async function openBootVolume(
  image: BlockReader | BlockEditor,
): Promise<{ volume: FatVolume; partition: Partition }> {
  const { partitions } = await readPartitions(image)
  const partition = partitions.find((candidate) => isFat(candidate.type)) ?? partitions[0]
  if (partition === undefined) {
    throw new FormatError('the image has no partitions', {
      hint: 'A Raspberry Pi image starts with a FAT boot partition',
    })
  }
  return { volume: await FatVolume.open(editorOf(image, partition)), partition }
}

/** MBR type bytes of FAT: 0x01 FAT12, 0x04/0x06/0x0e FAT16, 0x0b/0x0c FAT32. */
const isFat = (type: number | string): boolean => [0x01, 0x04, 0x06, 0x0b, 0x0c, 0x0e].includes(Number(type))

/** A partition of an image as an editor of its own, if the image is one. */
function editorOf(image: BlockReader | BlockEditor, partition: Partition): BlockReader | BlockEditor {
  const { offset, length } = partition
  const read = (at: number, count: number) => image.read(offset + at, count)
  if (!('write' in image)) return { length, read }
  return { length, read, write: (at: number, bytes: Uint8Array) => image.write(offset + at, bytes) }
}

/** The image's own date: what new files are stamped with, so that two runs give the same bytes. */
export async function newestTime(volume: FatVolume): Promise<Date> {
  let newest = 0
  for (const entry of await volume.list('/')) newest = Math.max(newest, entry.modified.getTime())
  // FAT time starts in 1980.
  return new Date(Math.max(newest, Date.UTC(1980, 0, 1)))
}
