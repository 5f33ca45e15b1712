/**
 * What of an image must be written: everything but the blocks its file systems
 * call free. What is not understood counts as used; runs of zeroes are data
 * like any other, because a used card holds old bytes where they belong.
 *
 * The ranges come as they can be known, in order: of an image that is still
 * being unpacked, those of a volume come as soon as its free maps are there.
 */
import { FormatError } from '../errors.ts'
import { type BlockReader, type Range, subReader } from './blocks.ts'
import { Ext4Volume } from './ext4/volume.ts'
import { openVolume } from './open-volume.ts'
import { readPartitions } from './partitions.ts'

/** A partition taken as wholly used, and why; for a note to the person. */
export interface OpaquePartition {
  partition: number
  reason: string
}

/**
 * In order of their offsets; neighbours may touch.
 * @throws {FormatError} the partition table can't be read
 */
export async function* walkUsedRanges(
  image: BlockReader,
  onOpaque: (partition: OpaquePartition) => void = () => {},
): AsyncGenerator<Range> {
  const { partitions } = await readPartitions(image)
  let end = 0
  for (const { index, offset, length } of [...partitions].sort((a, b) => a.offset - b.offset)) {
    // Between partitions lie boot loaders and backups that no table names.
    if (offset > end) yield { offset: end, length: offset - end }
    const volumeEnd = offset + length
    let walked = offset
    try {
      for await (const range of usedOfVolume(subReader(image, offset, length))) {
        walked = offset + range.offset + range.length
        yield { offset: offset + range.offset, length: range.length }
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      if (walked < volumeEnd) yield { offset: walked, length: volumeEnd - walked }
      onOpaque({ partition: index, reason: error.message })
    }
    end = Math.max(end, volumeEnd)
  }
  if (end < image.length) yield { offset: end, length: image.length - end }
}

/** @throws {FormatError} no file system that is understood */
async function* usedOfVolume(blocks: BlockReader): AsyncGenerator<Range> {
  const volume = await openVolume(blocks)
  if (volume === undefined) throw new FormatError('no FAT or ext4 file system')
  if (volume instanceof Ext4Volume) yield* volume.walkUsedRanges()
  else yield* await volume.usedRanges()
}
