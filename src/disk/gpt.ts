/**
 * GPT partition table: a header in sector 1 and an array of entries, both with a CRC-32.
 *
 * Pi images of some distributions and drives partitioned by hand have one.
 * The second copy at the end of the disk is not consulted: an image whose first
 * copy is damaged is damaged.
 *
 * Units: bytes from the start of the image. Sector numbers have 64 bits on disk;
 * beyond 2^44 (8 PiB) they are refused, so bytes stay exact.
 * Source: UEFI specification 2.10, "GUID Partition Table (GPT) Disk Layout".
 */
import { crc32 } from 'node:zlib'
import { FormatError } from '../errors.ts'
import { MiB, SECTOR_BYTES } from '../units.ts'
import type { BlockReader } from './blocks.ts'
import { type Partition, refuseOverlaps } from './mbr.ts'

export interface GptPartition extends Partition {
  /** The type GUID, lower case. */
  typeId: string
  /** The partition's own GUID, lower case: its PARTUUID. */
  id: string
  name: string
}

const HEADER_OFFSET = SECTOR_BYTES
const MIN_HEADER_BYTES = 92
const MIN_ENTRY_BYTES = 128
const MAX_TABLE_BYTES = MiB
const MAX_SECTOR = 2 ** 44

/** The MBR byte closest to a GPT type; others read as 0. */
const TYPE_BYTES: Record<string, number> = {
  'c12a7328-f81f-11d2-ba4b-00a0c93ec93b': 0xef, // EFI system
  'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7': 0x0c, // Microsoft basic data
  '0fc63daf-8483-4772-8e79-3d69d8477de4': 0x83, // Linux file system
  '69dad710-2ce4-4e3c-b16c-21a1d49abed3': 0x83, // Linux root, 32-bit ARM
  'b921b045-1df0-41c3-af44-4c6f280d3fae': 0x83, // Linux root, 64-bit ARM
  '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f': 0x82, // Linux swap
}

/**
 * @param reader the whole image or drive
 * @returns the disk's GUID and the used entries; an unused entry leaves a gap in `index`
 * @throws {FormatError} no header, a wrong CRC, absurd sizes, or partitions that overlap
 */
export async function readGpt(reader: BlockReader): Promise<{ diskId: string; partitions: GptPartition[] }> {
  const header = viewOf(await reader.read(HEADER_OFFSET, SECTOR_BYTES))
  const headerBytes = checkHeader(header)
  const entriesOffset = readSector(header, 72) * SECTOR_BYTES
  const count = header.getUint32(80, true)
  const entryBytes = header.getUint32(84, true)
  if (entryBytes < MIN_ENTRY_BYTES || entryBytes % 8 !== 0 || count * entryBytes > MAX_TABLE_BYTES) {
    throw new FormatError(`GPT with ${count} entries of ${entryBytes} bytes (byte ${HEADER_OFFSET + 80})`)
  }
  if (entriesOffset < HEADER_OFFSET + headerBytes) {
    throw new FormatError(
      `GPT entries at byte ${entriesOffset}, inside the header (byte ${HEADER_OFFSET + 72})`,
    )
  }
  const table = await reader.read(entriesOffset, count * entryBytes)
  if (crc32(table) !== header.getUint32(88, true)) {
    throw new FormatError(`the GPT entries at byte ${entriesOffset} do not match their CRC-32`)
  }
  const partitions: GptPartition[] = []
  for (let i = 0; i < count; i += 1) {
    const at = entriesOffset + i * entryBytes
    const partition = readEntry(table.subarray(i * entryBytes, (i + 1) * entryBytes), i + 1, at)
    if (partition !== undefined) partitions.push(partition)
  }
  refuseOverlaps(partitions)
  return { diskId: readGuid(header, 56), partitions }
}

/** @returns the header's own length */
function checkHeader(header: DataView): number {
  const bytes = new Uint8Array(header.buffer, header.byteOffset, header.byteLength)
  if (String.fromCharCode(...bytes.subarray(0, 8)) !== 'EFI PART') {
    throw new FormatError(`the MBR announces a GPT, but there is none at byte ${HEADER_OFFSET}`, {
      hint: 'A drive with sectors of 4096 bytes keeps it elsewhere; use one with 512-byte sectors.',
    })
  }
  const headerBytes = header.getUint32(12, true)
  if (headerBytes < MIN_HEADER_BYTES || headerBytes > SECTOR_BYTES) {
    throw new FormatError(`a GPT header of ${headerBytes} bytes (byte ${HEADER_OFFSET + 12})`)
  }
  const copy = bytes.slice(0, headerBytes)
  copy.fill(0, 16, 20)
  if (crc32(copy) !== header.getUint32(16, true)) {
    throw new FormatError(`the GPT header at byte ${HEADER_OFFSET} does not match its CRC-32`)
  }
  return headerBytes
}

/** @returns undefined for an unused entry */
function readEntry(bytes: Uint8Array, index: number, at: number): GptPartition | undefined {
  const entry = viewOf(bytes)
  const typeId = readGuid(entry, 0)
  if (/^[0-]+$/.test(typeId)) return undefined
  const first = readSector(entry, 32)
  const last = readSector(entry, 40)
  if (first === 0 || last < first) {
    throw new FormatError(`GPT partition ${index} runs from sector ${first} to ${last} (byte ${at + 32})`)
  }
  const units = Array.from({ length: 36 }, (_, i) => entry.getUint16(56 + 2 * i, true))
  return {
    index,
    type: TYPE_BYTES[typeId] ?? 0,
    offset: first * SECTOR_BYTES,
    length: (last - first + 1) * SECTOR_BYTES,
    typeId,
    id: readGuid(entry, 16),
    name: String.fromCharCode(...units).replace(/\0[\s\S]*$/, ''),
  }
}

function readSector(view: DataView, at: number): number {
  const sector = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
  if (sector >= MAX_SECTOR) throw new FormatError(`the GPT names sector ${sector}, beyond any disk`)
  return sector
}

/** The first three groups are little-endian, the rest stand as they are. */
function readGuid(view: DataView, at: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
  const tail = [8, 9, 10, 11, 12, 13, 14, 15].map((i) => hex(view.getUint8(at + i), 2)).join('')
  const groups = [
    hex(view.getUint32(at, true), 8),
    hex(view.getUint16(at + 4, true), 4),
    hex(view.getUint16(at + 6, true), 4),
    tail.slice(0, 4),
    tail.slice(4),
  ]
  return groups.join('-')
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
