/** Base images as netroot needs them: both file systems opened, and what the plan asks of the root. */

import { type BootFiles, rememberedBootFiles } from '../../boot/boot-files.ts'
import type { LockedImage } from '../../catalog/locked-image.ts'
import { bootFilesOfVolume } from '../../customise/apply-boot-plan.ts'
import { subReader } from '../../disk/blocks.ts'
import { newestTime, openBootVolume } from '../../disk/boot-volume.ts'
import { Ext4Volume } from '../../disk/ext4/volume.ts'
import { openVolume } from '../../disk/open-volume.ts'
import { readPartitions } from '../../disk/partitions.ts'
import { FormatError } from '../../errors.ts'
import { lookThroughArchive } from '../../netroot/archive-source.ts'
import type { GenerationSource } from '../../netroot/generation.ts'
import type { ImageInput } from '../../netroot/plan.ts'
import type { Task } from '../../progress.ts'
import { openRootFacts, type RootFacts } from '../../root/root-facts.ts'
import { rootFilesOf } from '../../root/root-files.ts'
import { shippedFamilies } from '../../systems/detect.ts'
import { type RootSnapshot, type SnapshotSource, takeRootSnapshot } from '../../systems/root/root-snapshot.ts'
import type { BaseImage, BaseImages } from '../image-pipeline.ts'

export interface NetrootImage {
  input: ImageInput
  boot: BootFiles
  /** undefined: an archive, which is read as a whole or not at all. */
  root?: RootFacts
  source: GenerationSource
  /** Whether all of it is what the lock names. @throws {DigestError} */
  verified(task: Task): Promise<void>
}

export interface NetrootImages {
  /** The same one each time for the same key. */
  open(image: LockedImage): Promise<NetrootImage>
  /**
   * One that was opened, after the whole chain of digests held.
   * @throws {DigestError}
   */
  verified(key: string): Promise<GenerationSource>
}

/** @param fetch gives an archive's path, its digest checked */
export function netrootImages(
  bases: BaseImages,
  fetch: (image: LockedImage) => Promise<string>,
  task: Task,
): NetrootImages {
  const opened = new Map<string, Promise<NetrootImage>>()
  return {
    open(image) {
      const there =
        opened.get(image.key) ??
        (image.format === 'tar.xz' ? openArchive(image, fetch, task) : openImage(bases, image))
      opened.set(image.key, there)
      return there
    },
    async verified(key) {
      const there = await opened.get(key)
      if (there === undefined) throw new Error(`${key} was not opened`)
      await there.verified(task)
      return there.source
    },
  }
}

/** Its digest is that of the archive as it is published. */
async function openArchive(
  image: LockedImage,
  fetch: (image: LockedImage) => Promise<string>,
  task: Task,
): Promise<NetrootImage> {
  const { source, boot, root } = await lookThroughArchive(await fetch(image), task)
  const { sha256 } = image.download
  return {
    input: { key: image.key, sha256, root: await snapshotOf(root) },
    boot,
    source,
    verified: async () => {},
  }
}

async function openImage(bases: BaseImages, image: LockedImage): Promise<NetrootImage> {
  const base = await bases.open(image)
  const { volume: boot } = await openBootVolume(base.reader)
  const root = await openRoot(base)
  const files = rootFilesOf(root)
  return {
    input: { key: base.key, sha256: base.sha256, root: await snapshotOf(files) },
    root: openRootFacts(files),
    boot: rememberedBootFiles(bootFilesOfVolume(boot)),
    source: { boot, root, modified: await newestTime(boot) },
    verified: (task) => base.verified(task),
  }
}

/** The first partition with an ext4. */
async function openRoot({ key, reader }: BaseImage): Promise<Ext4Volume> {
  const { partitions } = await readPartitions(reader)
  for (const { offset, length } of partitions) {
    const volume = await openVolume(subReader(reader, offset, length))
    if (volume instanceof Ext4Volume) return volume
  }
  throw new FormatError(`${key} has no ext4 partition`, {
    hint: 'Diskless nodes take their root from an image of Raspberry Pi OS or one laid out like it.',
  })
}

const snapshotOf = (root: SnapshotSource): Promise<RootSnapshot> =>
  takeRootSnapshot(
    root,
    shippedFamilies.map(({ served }) => served.look),
  )
