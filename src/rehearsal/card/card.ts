/**
 * A card or an image as a board finds it: its partitions with the names that
 * `root=` may call them by, the boot partition's files, the root's.
 */
import type { BlockReader } from '../../disk/blocks.ts'
import { subReader } from '../../disk/blocks.ts'
import type { Ext4Volume } from '../../disk/ext4/volume.ts'
import { FatVolume } from '../../disk/fat/volume.ts'
import type { GptPartition } from '../../disk/gpt.ts'
import { openVolume } from '../../disk/open-volume.ts'
import { readPartitions } from '../../disk/partitions.ts'
import { FormatError } from '../../errors.ts'
import type { BootFolder } from '../../firmware/boot-selection.ts'

export interface CardPartition {
  /** From 1. */
  index: number
  /** As the kernel calls it: `7a3f1c55-02`, or a GUID. */
  partUuid: string
  /** Of a GPT; '' in an MBR. */
  partLabel: string
  /** What is in it; undefined: nothing that is known here. */
  volume?: FatVolume | Ext4Volume
  /** Why it can't be read. */
  problem?: string
}

/** What is the same on all cards of one image: large files by path, size and time, and volumes that no plan changes. */
export type SharedFiles = Map<string, Promise<unknown>>

/** @throws {FormatError} no partition table */
export async function readCardPartitions(
  image: BlockReader,
  shared: SharedFiles = new Map(),
): Promise<CardPartition[]> {
  const { scheme, diskId, partitions } = await readPartitions(image)
  const found: CardPartition[] = []
  for (const partition of partitions) {
    const { index, offset, length } = partition
    const gpt = scheme === 'gpt' ? (partition as GptPartition) : undefined
    const partUuid = gpt?.id ?? `${diskId}-${index.toString(16).padStart(2, '0')}`
    const known = { index, partUuid, partLabel: gpt?.name ?? '' }
    try {
      const key = `partition ${index}`
      const opened =
        (shared.get(key) as Promise<CardPartition['volume']> | undefined) ??
        openVolume(subReader(image, offset, length))
      const volume = await opened
      // Plans change the FAT.
      if (!(volume instanceof FatVolume)) shared.set(key, opened)
      found.push({ ...known, volume })
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      found.push({ ...known, problem: error.message })
    }
  }
  return found
}

/** What `root=` names; undefined: no partition of this card. @returns `elsewhere` for what isn't on a card at all */
export function findRoot(
  value: string,
  partitions: readonly CardPartition[],
): CardPartition | 'elsewhere' | undefined {
  const [, kind = '', name = ''] = /^(PARTUUID|PARTLABEL|UUID|LABEL)=(.*)$/i.exec(unquoted(value)) ?? []
  const wanted = name.toLowerCase()
  switch (kind.toUpperCase()) {
    case 'PARTUUID':
      return partitions.find(({ partUuid }) => partUuid === wanted)
    case 'PARTLABEL':
      return partitions.find(({ partLabel }) => partLabel === name)
    case 'UUID':
      return partitions.find(({ volume }) => volume !== undefined && uuidOf(volume).toLowerCase() === wanted)
    case 'LABEL':
      return partitions.find(({ volume }) => volume !== undefined && labelOf(volume) === name)
  }
  const [, link, target = ''] =
    /^\/dev\/disk\/by-(partuuid|partlabel|uuid|label)\/(.+)$/.exec(unquoted(value)) ?? []
  if (link !== undefined) return findRoot(`${link.toUpperCase()}=${target}`, partitions)
  const number = /^\/dev\/(?:mmcblk\d+p|nvme\d+n\d+p|sd[a-z])(\d+)$/.exec(value)?.[1]
  if (number !== undefined) return partitions.find(({ index }) => index === Number(number))
  return 'elsewhere'
}

/** Kernels and RAM disks; no file that a plan writes is as long. */
const LARGE_BYTES = 1024 * 1024

const unquoted = (value: string): string => value.replaceAll('"', '')

const labelOf = (volume: FatVolume | Ext4Volume): string =>
  volume instanceof FatVolume ? volume.label : volume.superblock.label

function uuidOf(volume: FatVolume | Ext4Volume): string {
  if (volume instanceof FatVolume) return volume.volumeId
  const hex = volume.superblock.uuid.toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** @returns undefined: it isn't there, or is a folder */
export const bootFolderOf = (volume: FatVolume, shared: SharedFiles = new Map()): BootFolder => ({
  async read(path) {
    const entry = await volume.stat(path)
    if (entry === undefined || entry.isDirectory) return undefined
    if (entry.size < LARGE_BYTES) return volume.readFile(path)
    const key = `${path} ${entry.size} ${entry.modified.getTime()}`
    const bytes = shared.get(key) ?? volume.readFile(path)
    shared.set(key, bytes)
    return bytes as Promise<Uint8Array>
  },
  async list(path) {
    const entry = path === '' ? undefined : await volume.stat(path)
    if (path !== '' && entry?.isDirectory !== true) return []
    return (await volume.list(path)).map(({ name, isDirectory }) => ({ name, directory: isDirectory }))
  },
})
