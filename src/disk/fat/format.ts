/**
 * An empty FAT32 volume, for cards that hold a few files of ours and nothing
 * else. The same label, serial number and length give the same bytes.
 *
 * Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03; places of
 * FSInfo and the backup as mkfs.fat and Windows choose them.
 */
import { SECTOR_BYTES } from '../../units.ts'
import type { BlockEditor } from '../changes.ts'

export interface FatFormat {
  /** At most 11 capital letters and digits. */
  label: string
  /** 32 bits. */
  volumeId: number
  /** Where the partition starts on its drive: what the volume calls hidden sectors. */
  startSectors: number
}

const RESERVED_SECTORS = 32
const FAT_COUNT = 2
const FSINFO_SECTOR = 1
const BACKUP_SECTOR = 6
const ROOT_CLUSTER = 2
/** Fewer would be a FAT16 to some readers; more would want larger clusters. */
const CLUSTERS_MIN = 65525
const CLUSTERS_MAX = 2 ** 21

const LABEL_ATTRIBUTE = 0x08
const FIXED_DISK = 0xf8

/**
 * Clusters have one sector, so the volume has some 33 MiB to 1 GiB.
 *
 * @param editor just the volume, and all zeroes
 */
export async function formatFat32(editor: BlockEditor, format: FatFormat): Promise<void> {
  const { fatSectors, clusterCount } = layOut(editor.length)
  const boot = formatBootSector(editor.length, fatSectors, format)
  // Without the root directory's one.
  const info = formatFsInfo(clusterCount - 1)
  for (const at of [0, BACKUP_SECTOR]) {
    await editor.write(at * SECTOR_BYTES, boot)
    await editor.write((at + FSINFO_SECTOR) * SECTOR_BYTES, info)
  }
  const fat = new Uint8Array(SECTOR_BYTES)
  const view = new DataView(fat.buffer)
  view.setUint32(0, 0x0fffff00 + FIXED_DISK, true)
  view.setUint32(4, 0x0fffffff, true)
  view.setUint32(ROOT_CLUSTER * 4, 0x0fffffff, true)
  for (let i = 0; i < FAT_COUNT; i += 1)
    await editor.write((RESERVED_SECTORS + i * fatSectors) * SECTOR_BYTES, fat)
  const root = new Uint8Array(SECTOR_BYTES)
  root.set(latin1(format.label, 11))
  root[11] = LABEL_ATTRIBUTE
  await editor.write((RESERVED_SECTORS + FAT_COUNT * fatSectors) * SECTOR_BYTES, root)
}

/** The smallest FAT that numbers all clusters which are then left. */
function layOut(length: number): { fatSectors: number; clusterCount: number } {
  const sectors = Math.floor(length / SECTOR_BYTES) - RESERVED_SECTORS
  const perFatSector = SECTOR_BYTES / 4
  const fatSectors = Math.ceil((sectors + 2) / (perFatSector + FAT_COUNT))
  const clusterCount = sectors - FAT_COUNT * fatSectors
  if (clusterCount < CLUSTERS_MIN || clusterCount > CLUSTERS_MAX)
    throw new Error(`a FAT32 volume of ${length} bytes would have ${clusterCount} clusters`)
  return { fatSectors, clusterCount }
}

function formatBootSector(length: number, fatSectors: number, format: FatFormat): Uint8Array {
  const sector = new Uint8Array(SECTOR_BYTES)
  const view = new DataView(sector.buffer)
  sector.set([0xeb, 0x58, 0x90])
  sector.set(latin1('PIIMAGE', 8), 3)
  view.setUint16(11, SECTOR_BYTES, true)
  view.setUint8(13, 1)
  view.setUint16(14, RESERVED_SECTORS, true)
  view.setUint8(16, FAT_COUNT)
  view.setUint8(21, FIXED_DISK)
  // Heads and sectors of a drive that has neither.
  view.setUint16(24, 63, true)
  view.setUint16(26, 255, true)
  view.setUint32(28, format.startSectors, true)
  view.setUint32(32, Math.floor(length / SECTOR_BYTES), true)
  view.setUint32(36, fatSectors, true)
  view.setUint32(44, ROOT_CLUSTER, true)
  view.setUint16(48, FSINFO_SECTOR, true)
  view.setUint16(50, BACKUP_SECTOR, true)
  view.setUint8(64, 0x80)
  view.setUint8(66, 0x29)
  view.setUint32(67, format.volumeId, true)
  sector.set(latin1(format.label, 11), 71)
  sector.set(latin1('FAT32', 8), 82)
  view.setUint16(510, 0xaa55, true)
  return sector
}

function formatFsInfo(freeClusters: number): Uint8Array {
  const sector = new Uint8Array(SECTOR_BYTES)
  const view = new DataView(sector.buffer)
  view.setUint32(0, 0x41615252, true)
  view.setUint32(484, 0x61417272, true)
  view.setUint32(488, freeClusters, true)
  view.setUint32(492, ROOT_CLUSTER, true)
  view.setUint32(508, 0xaa550000, true)
  return sector
}

const latin1 = (text: string, length: number): Uint8Array => Buffer.from(text.padEnd(length), 'latin1')
