/**
 * A disk image as few bytes: only the sectors that hold something, so that a
 * FAT32 volume of 34 MB is an input of 10 kB and a change hits something.
 *
 * u32 length in sectors · u16 count · count × u32 sector number · count × 512 bytes; little endian.
 * Any bytes are some image: what a number claims and isn't there is zeroes.
 */
import { type BlockReader, checkRange } from '../../src/disk/blocks.ts'
import { MiB, SECTOR_BYTES } from '../../src/units.ts'

const HEADER_BYTES = 6
const MOST_SECTORS = (64 * MiB) / SECTOR_BYTES
/** No reader of ours needs more at once. */
const LONGEST_READ = 8 * MiB
/** Reads of one input: a reader that needs more goes round in circles. */
const MOST_READS = 200_000

export function packImage(image: Uint8Array): Uint8Array {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength)
  const sectors: number[] = []
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    if (bytes.subarray(at, at + SECTOR_BYTES).some((byte) => byte !== 0)) sectors.push(at / SECTOR_BYTES)
  }
  const header = Buffer.alloc(HEADER_BYTES + 4 * sectors.length)
  header.writeUInt32LE(Math.ceil(bytes.length / SECTOR_BYTES), 0)
  header.writeUInt16LE(sectors.length, 4)
  for (const [index, sector] of sectors.entries()) header.writeUInt32LE(sector, HEADER_BYTES + 4 * index)
  const parts = sectors.map((sector) => bytes.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES))
  return Buffer.concat([header, ...parts])
}

/** @throws {Error} (a finding) when a reader asks for more than it can need */
export function openPackedImage(input: Uint8Array): BlockReader {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  const length = bytes.length < 4 ? 0 : Math.min(bytes.readUInt32LE(0), MOST_SECTORS) * SECTOR_BYTES
  const data = sectorOffsets(bytes)
  let reads = 0
  return {
    length,
    async read(offset, count) {
      checkRange({ length }, offset, count)
      reads += 1
      if (reads > MOST_READS) throw new Error(`more than ${MOST_READS} reads`)
      if (count > LONGEST_READ) throw new Error(`a read of ${count} bytes`)
      const result = Buffer.alloc(count)
      const end = offset + count
      for (let sector = Math.floor(offset / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector += 1) {
        const from = data.get(sector)
        if (from === undefined) continue
        const start = sector * SECTOR_BYTES
        const skip = Math.max(0, offset - start)
        bytes.copy(result, start + skip - offset, from + skip, from + Math.min(SECTOR_BYTES, end - start))
      }
      return result
    },
  }
}

/** Sector number → where its bytes are in the input. */
function sectorOffsets(bytes: Buffer): Map<number, number> {
  const offsets = new Map<number, number>()
  if (bytes.length < HEADER_BYTES) return offsets
  const claimed = bytes.readUInt16LE(4)
  const count = Math.min(claimed, Math.floor((bytes.length - HEADER_BYTES) / 4))
  for (let index = 0; index < count; index += 1) {
    const from = HEADER_BYTES + 4 * count + SECTOR_BYTES * index
    if (from + SECTOR_BYTES > bytes.length) break
    offsets.set(bytes.readUInt32LE(HEADER_BYTES + 4 * index), from)
  }
  return offsets
}
