/**
 * A boot plan onto a FAT volume. Nothing is decided here but whether there is
 * room: the system's own updates (kernels, initramfs) need some later on.
 */

import type { BootFiles } from '../boot/boot-files.ts'
import type { FatVolume } from '../disk/fat/volume.ts'
import { FormatError } from '../errors.ts'
import { formatBytes, MiB } from '../units.ts'
import type { BootPlan } from './plan-boot.ts'

/** What must stay free on a volume of 128 MiB and more; on smaller ones the same share of it. */
const FREE_BYTES = 16 * MiB
const FULL_SIZE = 128 * MiB

export interface Room {
  /** Size of the volume, bytes. */
  length: number
  freeBytes: number
  clusterBytes: number
}

/** A volume's files, for `planBoot`. @param partition the one it lies on */
export function bootFilesOfVolume(volume: FatVolume, partition?: { index: number }): BootFiles {
  return {
    partition: partition?.index,
    read: async (path) => {
      const entry = await volume.stat(path)
      return entry === undefined || entry.isDirectory ? undefined : volume.readFile(path)
    },
    list: async (path) => {
      if (path !== '' && !(await volume.stat(path))?.isDirectory) return []
      return (await volume.list(path)).map(({ name, isDirectory }) => ({ name, directory: isDirectory }))
    },
  }
}

/** How much room a volume has, counted in its FAT. */
export async function readRoom(volume: FatVolume): Promise<Room> {
  const freeBytes = await volume.freeBytes()
  const used = (await volume.usedRanges()).reduce((sum, { length }) => sum + length, 0)
  return { length: used + freeBytes, freeBytes, clusterBytes: volume.clusterBytes }
}

/**
 * @throws {FormatError} less would stay free than the system needs for its updates,
 *   and the plan is what takes it
 */
export function checkRoom(plan: BootPlan, { length, freeBytes, clusterBytes }: Room): void {
  const clusters = (bytes: Uint8Array | null): number => Math.ceil((bytes?.length ?? 0) / clusterBytes)
  const added =
    plan.files.reduce((sum, { before, after }) => sum + clusters(after) - clusters(before), 0) * clusterBytes
  const wanted = length >= FULL_SIZE ? FREE_BYTES : Math.floor(length * (FREE_BYTES / FULL_SIZE))
  if (added <= 0 || freeBytes - added >= wanted) return
  throw new FormatError(
    `the boot partition of node ${plan.node} would have ${formatBytes(Math.max(0, freeBytes - added))} left; ${formatBytes(wanted)} must stay free`,
    { hint: 'Its updates need the room. Take files out of the overlays of this node, or use a newer image.' },
  )
}

/**
 * Write the plan, removals first: the same plan over the same volume gives the
 * same bytes. What is replaced or removed leaves nothing behind in free
 * clusters, for it may hold the secrets of the node that the card was before.
 *
 * @param modified the time stamp of everything written: from the image, never from the clock
 * @throws {FormatError} no room, or a damaged volume
 */
export async function applyBootPlan(plan: BootPlan, volume: FatVolume, modified: Date): Promise<void> {
  checkRoom(plan, await readRoom(volume))
  for (const { path, after } of plan.files) {
    if (after !== null) continue
    await volume.remove(path, { wipe: true })
    await removeEmptyFolders(volume, path)
  }
  for (const { path, after } of plan.files) {
    if (after === null) continue
    const slash = path.lastIndexOf('/')
    if (slash !== -1) await volume.mkdir(path.slice(0, slash), { modified })
    await volume.writeFile(path, after, { modified, wipe: true })
  }
}

/** The folders a file was in, as far up as nothing else is in them. */
async function removeEmptyFolders(volume: FatVolume, path: string): Promise<void> {
  let folder = path
  while (folder.includes('/')) {
    folder = folder.slice(0, folder.lastIndexOf('/'))
    if ((await volume.list(folder)).length > 0) return
    await volume.remove(folder)
  }
}
