/** The FAT file system that a Raspberry Pi boots from, in the image of a whole card. */
import { FormatError } from '../errors.ts'
import type { BlockReader } from './blocks.ts'
import type { BlockEditor } from './changes.ts'
import { FatVolume } from './fat/volume.ts'
import type { Partition } from './mbr.ts'
import { readPartitions } from './partitions.ts'

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
