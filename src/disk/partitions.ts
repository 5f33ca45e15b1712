/** The partitions of an image or a drive, whichever table it has. Sectors have 512 bytes. */
import { FormatError } from '../errors.ts'
import { MiB, SECTOR_BYTES } from '../units.ts'
import type { BlockReader } from './blocks.ts'
import { readGpt } from './gpt.ts'
import { isProtectiveMbr, type Partition, readMbr, readMbrDiskId } from './mbr.ts'

export interface PartitionTable {
  scheme: 'mbr' | 'gpt'
  /** Lower case; MBR: 8 hex digits, GPT: a GUID. */
  diskId: string
  /** In table order; GPT partitions carry more (GptPartition). */
  partitions: Partition[]
}

/**
 * @param reader the whole image or drive
 * @throws {FormatError} no partition table, a damaged one, or a partition that reaches past the end
 */
export async function readPartitions(reader: BlockReader): Promise<PartitionTable> {
  const sector = await reader.read(0, Math.min(SECTOR_BYTES, reader.length))
  if (!hasSignature(sector) && (await startsBlank(reader)))
    throw new FormatError('the first MiB is blank: nothing was written to it, or a write was interrupted', {
      hint: 'piimage leaves it so until all the rest is written, so that no half-written card boots: flash it again.',
    })
  const table: PartitionTable = isProtectiveMbr(sector)
    ? { scheme: 'gpt', ...(await readGpt(reader)) }
    : { scheme: 'mbr', diskId: readMbrDiskId(sector), partitions: readMbr(sector) }
  for (const { index, offset, length } of table.partitions) {
    if (offset + length > reader.length) {
      throw new FormatError(
        `partition ${index} reaches to byte ${offset + length}, but there are only ${reader.length} bytes`,
        { hint: 'The image was cut short, or the card is smaller than the image that was written to it.' },
      )
    }
  }
  return table
}

const hasSignature = (sector: Uint8Array): boolean => sector[510] === 0x55 && sector[511] === 0xaa

const startsBlank = async (reader: BlockReader): Promise<boolean> =>
  reader.length > MiB && (await reader.read(0, MiB)).every((byte) => byte === 0)
