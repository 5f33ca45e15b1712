/**
 * FSInfo: the FAT32 sector that remembers how many clusters are free and where
 * to look for the next. Only hints, but fsck.fat calls a wrong count an error,
 * so both are put right after each change. A sector without its three
 * signatures is left alone.
 */
import type { BlockReader } from '../blocks.ts'
import type { BlockEditor } from '../changes.ts'
import type { FreeMap } from './free-map.ts'

const FREE_COUNT = 488

/** @param offset the FSInfo sector, in bytes from the start of the volume */
export async function updateFsInfo(
  blocks: BlockReader,
  editor: BlockEditor,
  offset: number,
  free: FreeMap,
): Promise<void> {
  const sector = (await blocks.read(offset, 512)).slice()
  const view = new DataView(sector.buffer, sector.byteOffset, sector.length)
  const isFsInfo =
    view.getUint32(0, true) === 0x41615252 &&
    view.getUint32(484, true) === 0x61417272 &&
    view.getUint32(508, true) === 0xaa550000
  if (!isFsInfo) return
  const next = free.lastTaken === 0 ? view.getUint32(FREE_COUNT + 4, true) : free.lastTaken
  if (view.getUint32(FREE_COUNT, true) === free.count && view.getUint32(FREE_COUNT + 4, true) === next) return
  view.setUint32(FREE_COUNT, free.count, true)
  view.setUint32(FREE_COUNT + 4, next, true)
  await editor.write(offset + FREE_COUNT, sector.subarray(FREE_COUNT, FREE_COUNT + 8))
}
