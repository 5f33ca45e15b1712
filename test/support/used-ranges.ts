/** All that an image's file systems use, at once. */
import { type BlockReader, mergeRanges, type Range } from '../../src/disk/blocks.ts'
import { type OpaquePartition, walkUsedRanges } from '../../src/disk/used-ranges.ts'

export interface UsedRanges {
  /** Sorted, not touching each other; bytes from the start of the image. */
  ranges: Range[]
  opaque: OpaquePartition[]
}

/** @throws {FormatError} the partition table can't be read */
export async function readUsedRanges(image: BlockReader): Promise<UsedRanges> {
  const used: Range[] = []
  const opaque: OpaquePartition[] = []
  for await (const range of walkUsedRanges(image, (partition) => opaque.push(partition))) used.push(range)
  return { ranges: mergeRanges(used), opaque }
}
