/**
 * An image that many nodes are planned from, which all look at the same FAT and
 * the same folders: what was read in small pieces is kept. Large reads, those of
 * whoever writes the image out, go past it.
 */
import { type BlockReader, type IntoReader, readInto } from './blocks.ts'

/** Pieces of a FAT, folders, text files. */
const LARGEST_PIECE = 64 * 1024
/** In all. */
const MOST_BYTES = 16 * 1024 * 1024

/** @param base must not change */
export function rememberedReader(base: BlockReader | IntoReader): IntoReader {
  const pieces = new Map<string, Promise<Uint8Array>>()
  let bytes = 0
  const piece = (offset: number, length: number): Promise<Uint8Array> => {
    const key = `${offset}:${length}`
    const there = pieces.get(key)
    if (there !== undefined) return there
    const read = base.read(offset, length)
    if (length > LARGEST_PIECE || bytes + length > MOST_BYTES) return read
    bytes += length
    pieces.set(key, read)
    return read
  }
  return {
    length: base.length,
    // A copy: whoever reads may write into it.
    read: async (offset, length) =>
      length > LARGEST_PIECE ? base.read(offset, length) : Uint8Array.from(await piece(offset, length)),
    async readInto(into, offset) {
      if (into.length > LARGEST_PIECE) await readInto(base, into, offset)
      else into.set(await piece(offset, into.length))
    },
  }
}
