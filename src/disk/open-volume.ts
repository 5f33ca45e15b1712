/** A partition's bytes → the file system inside, told by its own magic numbers, never by the partition's type byte. */
import type { BlockReader } from './blocks.ts'
import { Ext4Volume } from './ext4/volume.ts'
import { FatVolume } from './fat/volume.ts'

/** ext2, ext3 and ext4: `0xEF53` at byte 56 of the superblock, which lies at byte 1024. */
const EXT_MAGIC_OFFSET = 1024 + 56

/**
 * @returns undefined when neither FAT nor ext2/3/4 is there
 * @throws {FormatError} the file system is there but damaged or of a kind not understood
 */
export async function openVolume(blocks: BlockReader): Promise<FatVolume | Ext4Volume | undefined> {
  if (blocks.length < 2048) return undefined
  const start = await blocks.read(0, 2048)
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength)
  if (view.getUint16(EXT_MAGIC_OFFSET, true) === 0xef53) return Ext4Volume.open(blocks)
  const jump = view.getUint8(0)
  if (view.getUint16(510, true) === 0xaa55 && (jump === 0xeb || jump === 0xe9)) return FatVolume.open(blocks)
  return undefined
}
