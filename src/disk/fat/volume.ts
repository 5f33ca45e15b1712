/**
 * A FAT12, FAT16 or FAT32 volume: list, read, create, replace, remove.
 *
 * Works over any BlockReader that holds just the volume (a `subReader` of an
 * image); edits need a BlockEditor such as Changes, so the image itself stays as
 * it was. Only what is asked for is read: the boot sector and the root directory
 * at first, the FAT in pieces, file data never unless it is a file's own.
 *
 * Paths are relative to the root, separated by `/`, without regard to case.
 * The boot sector and its backup are never written.
 *
 * Same volume and same calls, same bytes: places follow from the FAT alone, times
 * are those given.
 */
import { FormatError } from '../../errors.ts'
import { SECTOR_BYTES } from '../../units.ts'
import { type BlockReader, mergeRanges, type Range } from '../blocks.ts'
import type { BlockEditor } from '../changes.ts'
import { type FatGeometry, type FatKind, readBootSector } from './boot-sector.ts'
import { ClusterStore } from './cluster-store.ts'
import { ATTRIBUTE, type DirEntry } from './dir-entry.ts'
import { type Directory, type DirectorySource, readRoot, unusableEntry } from './directory.ts'
import { FatTable } from './fat-table.ts'
import { findFolder, isFolder, joinPath, locate, walkEntries } from './tree.ts'
import { type FileTimes, VolumeEditor, type WipeOption } from './volume-editor.ts'

/** A file or folder of the volume. */
export interface FatEntry {
  /** As shown by Linux: the long name where there is one. */
  name: string
  /** From the root, with `/` between names and none before: `overlays/dwc2.dtbo`; '' for the root. */
  path: string
  isDirectory: boolean
  /** Bytes; 0 for a folder. */
  size: number
  /** The stored fields read as UTC. */
  modified: Date
  /** FAT attribute bits: 0x01 read-only, 0x02 hidden, 0x04 system, 0x10 folder, 0x20 archive. */
  attributes: number
}

export class FatVolume {
  readonly kind: FatKind
  /** From the root directory's label entry, else the boot sector; '' for none. */
  readonly label: string
  /** As blkid prints it: `7A3F-1C55`. */
  readonly volumeId: string
  readonly clusterBytes: number
  readonly #length: number
  readonly #source: DirectorySource
  readonly #editor: VolumeEditor

  private constructor(blocks: BlockReader | BlockEditor, source: DirectorySource, label: string) {
    const { geometry } = source
    this.kind = geometry.kind
    this.label = label
    this.volumeId = geometry.volumeId
    this.clusterBytes = geometry.clusterBytes
    this.#length = blocks.length
    this.#source = source
    this.#editor = new VolumeEditor(blocks, source)
  }

  /**
   * @param blocks just the volume; without `write` it can only be read
   * @throws {FormatError} not a FAT volume we can work with, or a broken root directory
   */
  static async open(blocks: BlockReader | BlockEditor): Promise<FatVolume> {
    const sector = await blocks.read(0, Math.min(SECTOR_BYTES, blocks.length))
    const geometry: FatGeometry = readBootSector(sector, blocks.length)
    const source = {
      geometry,
      table: new FatTable(blocks, geometry),
      store: new ClusterStore(blocks, geometry),
    }
    const root = await readRoot(source)
    return new FatVolume(blocks, source, root.label ?? geometry.bootLabel)
  }

  /**
   * What a folder holds, in the order it stands there.
   * @throws {FormatError} there is no such folder
   */
  async list(path: string): Promise<FatEntry[]> {
    const folder = await findFolder(this.#source, path)
    return folder.entries.map((entry) => toFatEntry(folder, entry))
  }

  /** The entry at `path`; undefined when there is none. */
  async stat(path: string): Promise<FatEntry | undefined> {
    const found = await locate(this.#source, path)
    if (found === undefined) return undefined
    if (found.name !== undefined) {
      return found.entry === undefined ? undefined : toFatEntry(found.folder, found.entry)
    }
    return { ...ROOT, modified: new Date(ROOT.modified) }
  }

  /** @throws {FormatError} there is no such file, or its chain of clusters is broken */
  async readFile(path: string): Promise<Uint8Array> {
    const entry = (await locate(this.#source, path))?.entry
    if (entry === undefined || isFolder(entry)) {
      throw new FormatError(`the FAT volume has no file ${JSON.stringify(path)}`)
    }
    if (entry.size === 0) return new Uint8Array(0)
    const { table, store } = this.#source
    const needed = Math.ceil(entry.size / this.clusterBytes)
    const clusters = await table.chain(entry.firstCluster, path, needed)
    if (clusters.length < needed) {
      throw new FormatError(
        `${path} has ${entry.size} bytes by its directory, but only ${clusters.length} clusters of ${this.clusterBytes}`,
      )
    }
    return store.read(store.ranges(clusters), entry.size)
  }

  /** Everything on the volume, each folder before what is in it. */
  async *walk(): AsyncGenerator<FatEntry> {
    for await (const { folder, entry } of walkEntries(this.#source, await readRoot(this.#source))) {
      yield toFatEntry(folder, entry)
    }
  }

  /** Bytes in free clusters, counted in the FAT (FSInfo is only a hint). */
  async freeBytes(): Promise<number> {
    return (await this.#editor.freeMap()).count * this.clusterBytes
  }

  /**
   * The bytes that are not free clusters: reserved sectors, FATs, root,
   * allocated clusters, and what lies behind the last cluster. Joined, in order.
   */
  async usedRanges(): Promise<Range[]> {
    const { dataOffset, clusterCount } = this.#source.geometry
    const ranges = [{ offset: 0, length: dataOffset }]
    for (const { first, count } of (await this.#editor.freeMap()).usedRuns()) {
      ranges.push({ offset: dataOffset + (first - 2) * this.clusterBytes, length: count * this.clusterBytes })
    }
    const clustersEnd = dataOffset + clusterCount * this.clusterBytes
    ranges.push({ offset: clustersEnd, length: this.#length - clustersEnd })
    return mergeRanges(ranges)
  }

  /** What is wrong with the volume and keeps nobody from reading it, a sentence each; fsck.fat says more. */
  async doubts(): Promise<string[]> {
    const doubts: string[] = []
    const { kept } = await this.#editor.freeMap()
    if (kept > 0)
      doubts.push(`${kept} ${kept === 1 ? 'cluster is' : 'clusters are'} part of files and marked as free`)
    try {
      const root = await readRoot(this.#source)
      const folders = [root]
      for await (const { inside } of walkEntries(this.#source, root, { unusable: 'pass' }))
        if (inside !== undefined) folders.push(inside)
      doubts.push(...folders.flatMap((folder) => unusableEntry(folder) ?? []))
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      doubts.push(error.message)
    }
    return doubts
  }

  /**
   * Create a file, or replace the one there (which keeps its name's spelling and,
   * where the new bytes fit, its clusters). The same bytes and time again change
   * nothing. The folder must exist.
   * @throws {FormatError} no such folder, a folder of that name, or not enough room: nothing was changed
   * @throws {UsageError} a name FAT cannot hold
   */
  writeFile(path: string, bytes: Uint8Array, options: FileTimes & WipeOption): Promise<void> {
    return this.#editor.writeFile(path, bytes, options)
  }

  /**
   * Make a folder and those above it; existing ones are left as they are.
   * @throws {FormatError} a file is in the way, or not enough room: nothing was changed
   * @throws {UsageError} a name FAT cannot hold
   */
  mkdir(path: string, times: FileTimes): Promise<void> {
    return this.#editor.mkdir(path, times)
  }

  /**
   * Remove a file, or a folder with everything in it.
   * @throws {FormatError} there is no such entry, or what is to be freed is damaged: nothing was changed
   */
  remove(path: string, options: WipeOption = {}): Promise<void> {
    return this.#editor.remove(path, options)
  }
}

const ROOT: FatEntry = {
  name: '',
  path: '',
  isDirectory: true,
  size: 0,
  modified: new Date(Date.UTC(1980, 0, 1)),
  attributes: ATTRIBUTE.directory,
}

function toFatEntry(folder: Directory, entry: DirEntry): FatEntry {
  return {
    name: entry.name,
    path: joinPath(folder, entry.name),
    isDirectory: isFolder(entry),
    size: isFolder(entry) ? 0 : entry.size,
    modified: entry.modified,
    attributes: entry.attributes,
  }
}
