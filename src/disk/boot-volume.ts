/** The FAT file system that a Raspberry Pi boots from, in the image of a whole card. */
import { FormatError } from '../errors.ts'
import { AUTOBOOT, readAutoboot } from './autoboot.ts'
import type { BlockReader } from './blocks.ts'
import type { BlockEditor } from './changes.ts'
import { FatVolume } from './fat/volume.ts'
import type { Partition } from './mbr.ts'
import { readPartitions } from './partitions.ts'

/**
 * The boot partition: the first with a FAT file system, or the one that its autoboot.txt names.
 * @throws {FormatError} there is none
 */
export async function openBootVolume(
  image: BlockReader | BlockEditor,
): Promise<{ volume: FatVolume; partition: Partition }> {
  const { partitions } = await readPartitions(image)
  const first = partitions.find((candidate) => isFat(candidate.type)) ?? partitions[0]
  if (first === undefined) {
    throw new FormatError('the image has no partitions', {
      hint: 'A Raspberry Pi image starts with a FAT boot partition',
    })
  }
  const volume = await FatVolume.open(editorOf(image, first))
  const named = await readNamed(volume)
  if (named === undefined || named === first.index) return { volume, partition: first }
  const partition = partitions.find(({ index }) => index === named)
  const problem = `autoboot.txt on partition ${first.index} says boot_partition=${named}`
  const hint = 'Correct boot_partition= in autoboot.txt: no board would start this card.'
  if (partition === undefined) throw new FormatError(`${problem}, and there is no such partition`, { hint })
  try {
    return { volume: await FatVolume.open(editorOf(image, partition)), partition }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    throw new FormatError(`${problem}, and no FAT can be read there: ${error.message}`, { hint })
  }
}

/** The partition that autoboot.txt names for an ordinary boot. */
async function readNamed(volume: FatVolume): Promise<number | undefined> {
  const entry = await volume.stat(AUTOBOOT)
  if (entry === undefined || entry.isDirectory) return undefined
  return readAutoboot(await volume.readFile(AUTOBOOT)).partition
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
