/**
 * FAT boot sector: the first 512 bytes of a FAT12, FAT16 or FAT32 volume, and
 * the geometry that follows from them.
 *
 *   reserved sectors | FAT 1 | FAT 2 | fixed root (12/16) | clusters 2, 3, 4 …
 *
 * Every number here comes from the medium and may be hostile: what is returned
 * has been checked to lie inside the volume, so other modules compute with it
 * freely. Offsets are bytes from the start of the volume.
 *
 * Not here: exFAT and NTFS (refused by name), sectors other than 512 bytes.
 * Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03. The kind is
 * told as Linux tells it: no 16-bit FAT size means FAT32, whatever the count.
 */
import { FormatError } from '../../errors.ts'
import { SECTOR_BYTES } from '../../units.ts'
import { readLabel } from './names.ts'

export type FatKind = 12 | 16 | 32

export interface FatGeometry {
  kind: FatKind
  clusterBytes: number
  /** Data clusters; their numbers run from 2 to `clusterCount + 1`. */
  clusterCount: number
  /** Where the first FAT starts; copies follow at `fatBytes` steps. */
  fatOffset: number
  fatBytes: number
  fatCount: number
  /** The one FAT in use where mirroring is off (FAT32 only); undefined: all are kept alike. */
  activeFat: number | undefined
  /** Fixed root of FAT12 and FAT16: place and number of entries; 0 entries on FAT32. */
  rootOffset: number
  rootEntries: number
  /** First cluster of the FAT32 root; 0 on FAT12 and FAT16. */
  rootCluster: number
  dataOffset: number
  /** What the volume claims to hold; the partition may be longer. */
  volumeBytes: number
  /** The FAT32 FSInfo sector, where there is one. */
  fsInfoOffset: number | undefined
  /** As in the boot sector, '' for none; the root directory's label entry goes before it. */
  bootLabel: string
  /** As blkid prints it: `7A3F-1C55`; '' where the boot sector has none. */
  volumeId: string
}

/**
 * @param sector the first 512 bytes of the volume; anything after them is ignored
 * @param length bytes of the partition the volume lies in
 * @throws {FormatError} not a FAT volume, one we refuse, or one whose numbers contradict each other
 */
export function readBootSector(sector: Uint8Array, length: number): FatGeometry {
  if (sector.length < SECTOR_BYTES) {
    throw new FormatError(`a FAT boot sector has 512 bytes; there are ${sector.length}`)
  }
  const view = new DataView(sector.buffer, sector.byteOffset, SECTOR_BYTES)
  refuseOthers(sector, view)

  const sectorsPerCluster = view.getUint8(13)
  if (sectorsPerCluster === 0 || (sectorsPerCluster & (sectorsPerCluster - 1)) !== 0) {
    bad(13, `${sectorsPerCluster} sectors per cluster is not a power of two`)
  }
  const reservedSectors = view.getUint16(14, true)
  if (reservedSectors === 0) bad(14, 'no reserved sectors')
  const fatCount = view.getUint8(16)
  if (fatCount !== 1 && fatCount !== 2) bad(16, `${fatCount} FATs, not 1 or 2`)
  const rootEntries = view.getUint16(17, true)
  const totalAt = view.getUint16(19, true) === 0 ? 32 : 19
  const totalSectors = view.getUint16(19, true) || view.getUint32(32, true)
  if (totalSectors === 0) bad(32, 'no sectors in the volume')
  if (totalSectors * SECTOR_BYTES > length) {
    bad(totalAt, `the volume claims ${totalSectors * SECTOR_BYTES} bytes; the partition has ${length}`)
  }
  const fatSectors16 = view.getUint16(22, true)
  const isFat32 = fatSectors16 === 0
  const fatSectors = fatSectors16 || view.getUint32(36, true)
  if (fatSectors === 0) bad(36, 'a FAT of no sectors')

  const rootSectors = (rootEntries * 32) / SECTOR_BYTES
  if (isFat32 && rootEntries !== 0) bad(17, `a FAT32 volume with ${rootEntries} fixed root entries`)
  if (!isFat32 && (rootEntries === 0 || !Number.isInteger(rootSectors))) {
    bad(17, `${rootEntries} root entries do not fill whole sectors`)
  }
  const rootSector = reservedSectors + fatCount * fatSectors
  const dataSector = rootSector + rootSectors
  if (dataSector >= totalSectors) {
    bad(22, `the FATs and the root directory end at sector ${dataSector} of a volume of ${totalSectors}`)
  }
  const clusterCount = Math.floor((totalSectors - dataSector) / sectorsPerCluster)
  if (clusterCount === 0) bad(13, 'no room for a single cluster')
  const kind: FatKind = isFat32 ? 32 : clusterCount < 4085 ? 12 : 16
  if (clusterCount > { 12: 4084, 16: 65524, 32: 0x0ffffff4 }[kind]) {
    bad(totalAt, `${clusterCount} clusters are more than FAT${kind} can number`)
  }
  if (fatSectors * SECTOR_BYTES * 8 < (clusterCount + 2) * kind) {
    bad(22, `a FAT of ${fatSectors} sectors is too small for ${clusterCount} clusters`)
  }
  return {
    kind,
    clusterBytes: sectorsPerCluster * SECTOR_BYTES,
    clusterCount,
    fatOffset: reservedSectors * SECTOR_BYTES,
    fatBytes: fatSectors * SECTOR_BYTES,
    fatCount,
    rootOffset: rootSector * SECTOR_BYTES,
    rootEntries,
    dataOffset: dataSector * SECTOR_BYTES,
    volumeBytes: totalSectors * SECTOR_BYTES,
    ...(isFat32 ? readFat32Fields(view, reservedSectors, fatCount, clusterCount) : FAT16_FIELDS),
    ...readIdentity(sector, view, isFat32 ? 66 : 38),
  }
}

const FAT16_FIELDS = { activeFat: undefined, rootCluster: 0, fsInfoOffset: undefined }

function readFat32Fields(view: DataView, reservedSectors: number, fatCount: number, clusterCount: number) {
  const version = view.getUint16(42, true)
  if (version !== 0) bad(42, `FAT32 version ${version} is unknown`)
  const rootCluster = view.getUint32(44, true)
  if (rootCluster < 2 || rootCluster > clusterCount + 1) {
    bad(44, `the root directory's cluster ${rootCluster} does not exist`)
  }
  const flags = view.getUint16(40, true)
  const mirrored = (flags & 0x80) === 0
  const activeFat = flags & 0x0f
  if (!mirrored && activeFat >= fatCount) bad(40, `FAT ${activeFat} of ${fatCount} is said to be in use`)
  const fsInfoSector = view.getUint16(48, true)
  return {
    rootCluster,
    activeFat: mirrored ? undefined : activeFat,
    fsInfoOffset:
      fsInfoSector > 0 && fsInfoSector < reservedSectors ? fsInfoSector * SECTOR_BYTES : undefined,
  }
}

/** Serial number and label, behind the signature byte at `at`. */
function readIdentity(sector: Uint8Array, view: DataView, at: number) {
  const signature = view.getUint8(at)
  if (signature !== 0x29 && signature !== 0x28) return { volumeId: '', bootLabel: '' }
  const id = view
    .getUint32(at + 1, true)
    .toString(16)
    .toUpperCase()
    .padStart(8, '0')
  const label = signature === 0x29 ? readLabel(latin1(sector, at + 5, 11)) : ''
  return { volumeId: `${id.slice(0, 4)}-${id.slice(4)}`, bootLabel: label === 'NO NAME' ? '' : label }
}

function refuseOthers(sector: Uint8Array, view: DataView): void {
  const maker = latin1(sector, 3, 8)
  if (maker === 'EXFAT   ' || maker === 'NTFS    ') {
    throw new FormatError(`the volume is ${maker.trim()}, not FAT`, {
      hint: 'A Raspberry Pi boots from FAT only; format the boot partition as FAT32.',
    })
  }
  if (view.getUint16(510, true) !== 0xaa55) {
    throw new FormatError('the volume is not FAT: no 55 AA at byte 510 of its boot sector')
  }
  const sectorBytes = view.getUint16(11, true)
  if (sectorBytes === SECTOR_BYTES) return
  if ([1024, 2048, 4096].includes(sectorBytes)) {
    throw new FormatError(
      `the FAT volume counts in sectors of ${sectorBytes} bytes (byte 11); only 512 works`,
      {
        hint: 'Use a card or reader with 512-byte sectors.',
      },
    )
  }
  bad(11, `${sectorBytes} bytes per sector`)
}

function bad(offset: number, what: string): never {
  throw new FormatError(`bad FAT boot sector: ${what} (byte ${offset} of the volume)`)
}

function latin1(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length))
}
