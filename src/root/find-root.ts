/** The root file system in the image of a whole card, where it can be read. */
import { type BlockReader, subReader } from '../disk/blocks.ts'
import { Ext4Volume } from '../disk/ext4/volume.ts'
import { openVolume } from '../disk/open-volume.ts'
import { readPartitions } from '../disk/partitions.ts'
import { FormatError } from '../errors.ts'
import { openRootFacts, type RootFacts } from './root-facts.ts'
import { rootFilesOf } from './root-files.ts'

/** @returns undefined: none that is read here, or several, of which a command line names one */
export async function findRootFacts(image: BlockReader): Promise<RootFacts | undefined> {
  const roots: RootFacts[] = []
  try {
    const { partitions } = await readPartitions(image)
    for (const { offset, length } of partitions) {
      if (offset + length > image.length) continue
      const volume = await openVolume(subReader(image, offset, length))
      if (!(volume instanceof Ext4Volume)) continue
      const files = rootFilesOf(volume)
      if (await files.has('/etc')) roots.push(openRootFacts(files))
    }
  } catch (error) {
    // Damage is told by whoever judges the image itself.
    if (error instanceof FormatError) return undefined
    throw error
  }
  return roots.length === 1 ? roots[0] : undefined
}
