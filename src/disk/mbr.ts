/**
 * MBR partition table: sector 0 of an image or a drive.
 *
 * Raspberry Pi images carry an MBR with two used entries: a FAT32 boot
 * partition and an ext4 root partition. This module sees only those 512 bytes.
 * It opens no file and looks into no partition, so every test is a test vector.
 *
 * Units: `offset` and `length` are bytes from the start of the image, as plain
 * numbers (exact below 2^53). Never use `<<` or `|` on either: they wrap at 2 GiB.
 *
 * Not here: GPT (./gpt.ts), the logical partitions inside an extended one (no
 * Pi image has one; the extended entry itself is listed).
 * Source: UEFI specification, "Legacy Master Boot Record"; little-endian.
 */
import { FormatError } from '../errors.ts'
import { SECTOR_BYTES } from '../units.ts'

export interface Partition {
  /** The number in `/dev/mmcblk0p<index>`; 1–4 in an MBR. */
  index: number
  /** MBR type byte: 0x0c FAT32 (LBA), 0x83 Linux. A GPT type is given as the byte closest to it. */
  type: number
  offset: number
  length: number
}

const FIRST_ENTRY = 446
const ENTRY_BYTES = 16
const PROTECTIVE = 0xee

/**
 * Read the partition table.
 *
 * @param sector first 512 bytes of the image; anything after them is ignored
 * @returns the used entries in table order; an unused entry is left out and leaves a gap in `index`
 * @throws {FormatError} fewer than 512 bytes; no 55 AA at byte 510; an entry with a status other
 *   than 0 and 0x80, that starts at sector 0, or that overlaps another
 */
export function readMbr(sector: Uint8Array): Partition[] {
  const view = checkSector(sector)
  const partitions: Partition[] = []
  for (let index = 1; index <= 4; index += 1) {
    const at = FIRST_ENTRY + (index - 1) * ENTRY_BYTES
    const status = view.getUint8(at)
    const type = view.getUint8(at + 4)
    const startSectors = view.getUint32(at + 8, true)
    const lengthSectors = view.getUint32(at + 12, true)
    if (status !== 0 && status !== 0x80) {
      throw new FormatError(`MBR partition ${index} has the impossible status ${status} (byte ${at})`, {
        hint: 'The first sector holds no partition table; is this a whole-disk image?',
      })
    }
    if (type === 0 || lengthSectors === 0) continue
    if (startSectors === 0)
      throw new FormatError(`MBR partition ${index} starts at sector 0 (byte ${at + 8})`)
    partitions.push({
      index,
      type,
      offset: startSectors * SECTOR_BYTES,
      length: lengthSectors * SECTOR_BYTES,
    })
  }
  refuseOverlaps(partitions)
  return partitions
}

/**
 * The disk identifier, 8 lower-case hex digits: what `root=PARTUUID=<id>-02` starts with.
 * @throws {FormatError} fewer than 512 bytes, or no 55 AA at byte 510
 */
export function readMbrDiskId(sector: Uint8Array): string {
  return checkSector(sector).getUint32(440, true).toString(16).padStart(8, '0')
}

/**
 * Whether the MBR only guards a GPT: an entry of type 0xEE from sector 1.
 * @throws {FormatError} fewer than 512 bytes, or no 55 AA at byte 510
 */
export function isProtectiveMbr(sector: Uint8Array): boolean {
  const view = checkSector(sector)
  return [0, 1, 2, 3].some((i) => {
    const at = FIRST_ENTRY + i * ENTRY_BYTES
    return view.getUint8(at + 4) === PROTECTIVE && view.getUint32(at + 8, true) === 1
  })
}

/**
 * Sector 0 of a drive with these partitions, none of them marked active: the
 * Raspberry Pi takes the first one with a FAT file system.
 *
 * @param diskId 8 hex digits
 * @param partitions in whole sectors
 */
export function formatMbr(diskId: string, partitions: readonly Partition[]): Uint8Array {
  refuseOverlaps(partitions)
  const sector = new Uint8Array(SECTOR_BYTES)
  const view = new DataView(sector.buffer)
  view.setUint32(440, Number.parseInt(diskId, 16), true)
  for (const { index, type, offset, length } of partitions) {
    const at = FIRST_ENTRY + (index - 1) * ENTRY_BYTES
    // The largest cylinder, head and sector there are: look at the numbers behind them.
    for (const place of [1, 5]) sector.set([0xfe, 0xff, 0xff], at + place)
    view.setUint8(at + 4, type)
    view.setUint32(at + 8, offset / SECTOR_BYTES, true)
    view.setUint32(at + 12, length / SECTOR_BYTES, true)
  }
  view.setUint16(510, 0xaa55, true)
  return sector
}

/** @throws {FormatError} two partitions share bytes */
export function refuseOverlaps(partitions: readonly Partition[]): void {
  const sorted = [...partitions].sort((a, b) => a.offset - b.offset)
  for (const [i, next] of sorted.slice(1).entries()) {
    const before = sorted[i] as Partition
    if (next.offset < before.offset + before.length) {
      throw new FormatError(`partitions ${before.index} and ${next.index} overlap at byte ${next.offset}`)
    }
  }
}

function checkSector(sector: Uint8Array): DataView {
  if (sector.length < SECTOR_BYTES) {
    throw new FormatError(`a partition table takes 512 bytes; there are ${sector.length}`)
  }
  const view = new DataView(sector.buffer, sector.byteOffset, SECTOR_BYTES)
  if (view.getUint16(510, true) !== 0xaa55) {
    throw new FormatError('no partition table: no 55 AA at byte 510', {
      hint: 'A whole-disk image is needed, not that of a single partition.',
    })
  }
  return view
}
