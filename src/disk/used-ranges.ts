/**
 * What of an image must be written: everything but the blocks its file systems
 * call free. What is not understood counts as used; runs of zeroes are data
 * like any other, because a used card holds old bytes where they belong.
 */
import { FormatError } from '../errors.ts'
import { type BlockReader, mergeRanges, type Range, subReader } from './blocks.ts'
import { openVolume } from './open-volume.ts'
import { readPartitions } from './partitions.ts'

export interface UsedRanges {
  /** Sorted, not touching each other; bytes from the start of the image. */
  ranges: Range[]
  /** Partitions taken as wholly used, and why; for a note to the person. */
  opaque: { partition: number; reason: string }[]
}

/** @throws {FormatError} the partition table can't be read */
export async function readUsedRanges(image: BlockReader): Promise<UsedRanges> {
  const { partitions } = await readPartitions(image)
  const used: Range[] = []
  const opaque: UsedRanges['opaque'] = []
  let end = 0
  for (const partition of [...partitions].sort((a, b) => a.offset - b.offset)) {
    // Between partitions lie boot loaders and backups that no table names.
    used.push({ offset: end, length: Math.max(0, partition.offset - end) })
    end = Math.max(end, partition.offset + partition.length)
    try {
      const volume = await openVolume(subReader(image, partition.offset, partition.length))
      if (volume === undefined) throw new FormatError('no FAT or ext4 file system')
      for (const range of await volume.usedRanges()) {
        used.push({ offset: partition.offset + range.offset, length: range.length })
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      used.push({ offset: partition.offset, length: partition.length })
      opaque.push({ partition: partition.index, reason: error.message })
    }
  }
  used.push({ offset: end, length: Math.max(0, image.length - end) })
  return { ranges: mergeRanges(used), opaque }
}
