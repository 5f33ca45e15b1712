/**
 * One directory: where its bytes lie, what is in it, and where a new entry fits.
 *
 * The root of FAT12 and FAT16 is a fixed area; every other directory is a chain
 * of clusters and grows. No directory has more than 65 536 slots (2 MiB), which
 * also bounds what a hostile one can cost.
 */
import { FormatError } from '../../errors.ts'
import type { Range } from '../blocks.ts'
import type { BlockEditor } from '../changes.ts'
import type { FatGeometry } from './boot-sector.ts'
import type { ClusterStore } from './cluster-store.ts'
import { type DirContents, type DirEntry, readDirContents, SLOT_BYTES } from './dir-entry.ts'
import type { FatTable } from './fat-table.ts'
import { foldName, readAlias } from './names.ts'

export const MAX_DIRECTORY_SLOTS = 65536

export interface Directory extends DirContents {
  /** '' for the root. */
  path: string
  /** As a child's `..` names it: 0 for any root. */
  ownCluster: number
  /** Empty for a fixed root. */
  clusters: number[]
  ranges: Range[]
  bytes: Uint8Array
}

/** What a directory is read from. */
export interface DirectorySource {
  geometry: FatGeometry
  table: FatTable
  store: ClusterStore
}

export async function readRoot(source: DirectorySource): Promise<Directory> {
  const { geometry, store } = source
  if (geometry.rootCluster !== 0) return readClusters(source, '', geometry.rootCluster, 0)
  const ranges = [{ offset: geometry.rootOffset, length: geometry.rootEntries * SLOT_BYTES }]
  return describe('', 0, [], ranges, await store.read(ranges, geometry.rootEntries * SLOT_BYTES))
}

/** @throws {FormatError} the chain of clusters is broken, or longer than a directory can be */
export function readFolder(source: DirectorySource, path: string, firstCluster: number): Promise<Directory> {
  return readClusters(source, path, firstCluster, firstCluster)
}

async function readClusters(
  { geometry, table, store }: DirectorySource,
  path: string,
  firstCluster: number,
  ownCluster: number,
): Promise<Directory> {
  const what = describeFolder(path)
  const most = Math.ceil((MAX_DIRECTORY_SLOTS * SLOT_BYTES) / geometry.clusterBytes)
  const clusters = await table.chain(firstCluster, what, most + 1)
  if (clusters.length > most) {
    throw new FormatError(
      `${what} is longer than the 2 MiB a FAT directory can have (cluster ${firstCluster})`,
    )
  }
  const ranges = store.ranges(clusters)
  const bytes = await store.read(ranges, clusters.length * geometry.clusterBytes)
  return describe(path, ownCluster, clusters, ranges, bytes)
}

function describe(
  path: string,
  ownCluster: number,
  clusters: number[],
  ranges: Range[],
  bytes: Uint8Array,
): Directory {
  return { path, ownCluster, clusters, ranges, bytes, ...readDirContents(bytes) }
}

/** What is wrong with a folder that has an entry nobody can ask for; undefined: nothing. */
export function unusableEntry(directory: Directory): string | undefined {
  const [slot] = directory.unusable
  if (slot === undefined) return undefined
  const at = slotOffset(directory, slot)
  return `${describeFolder(directory.path)} has an entry without a usable name (byte ${at} of the volume)`
}

/** For messages. */
export function describeFolder(path: string): string {
  return path === '' ? 'the root directory' : `the folder ${path}`
}

/** By long name or alias, without regard to case. */
export function findEntry(directory: Directory, name: string): DirEntry | undefined {
  const wanted = foldName(name)
  return (
    directory.entries.find((entry) => foldName(entry.name) === wanted) ??
    directory.entries.find((entry) => foldName(readAlias(entry.alias, 0)) === wanted)
  )
}

/** Byte of the volume where a slot stands. */
export function slotOffset(directory: { ranges: readonly Range[] }, slot: number): number {
  let at = slot * SLOT_BYTES
  for (const range of directory.ranges) {
    if (at < range.length) return range.offset + at
    at -= range.length
  }
  throw new Error(`slot ${slot} lies outside its directory`)
}

/** The first slot of the lowest `count` free ones in a row; they may reach past the directory's end. */
export function findFreeSlots(directory: Directory, count: number): number {
  let run = 0
  for (let slot = 0; slot < directory.usedSlots; slot += 1) {
    run = directory.bytes[slot * SLOT_BYTES] === 0xe5 ? run + 1 : 0
    if (run === count) return slot - count + 1
  }
  return directory.usedSlots - run
}

/** Write whole slots, wherever their clusters lie. */
export async function writeSlots(
  editor: BlockEditor,
  directory: { ranges: readonly Range[] },
  first: number,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
    await editor.write(slotOffset(directory, first + at / SLOT_BYTES), bytes.subarray(at, at + SLOT_BYTES))
  }
}
