/**
 * Changes to a FAT volume. Each edit first reads all it needs to know and checks
 * that it can be done; only then is anything written, so one that fails changes
 * nothing. Edits wait for each other.
 *
 * A file's parent folder keeps its own time, as it does with FatFs: an edit
 * touches the file's sectors, its slots, the FATs and FSInfo, and no more.
 */
import { FormatError } from '../../errors.ts'
import type { BlockReader } from '../blocks.ts'
import type { BlockEditor } from '../changes.ts'
import {
  ATTRIBUTE,
  type DirEntry,
  formatEntry,
  roundTime,
  SLOT_BYTES,
  slotsNeeded,
  writeFileFields,
} from './dir-entry.ts'
import {
  type Directory,
  type DirectorySource,
  findEntry,
  readRoot,
  slotOffset,
  writeSlots,
} from './directory.ts'
import type { FreeMap } from './free-map.ts'
import { updateFsInfo } from './fs-info.ts'
import { checkName, chooseAlias, isShortName, splitPath } from './names.ts'
import { addEntry, planEntry } from './new-entry.ts'
import { collectClusters, enter, isFolder, joinPath, locate, walkEntries } from './tree.ts'

const MAX_FILE_BYTES = 0xffffffff

/** Seconds are stored even; UTC fields as they are. */
export interface FileTimes {
  modified: Date
}

export interface WipeOption {
  /**
   * Zero what the file gives up: clusters that are freed, and what lies behind
   * its end in those it keeps. For files that held secrets: a free cluster can
   * be read by anybody who has the card.
   */
  wipe?: boolean
}

export class VolumeEditor {
  readonly #blocks: BlockReader | BlockEditor
  readonly #source: DirectorySource
  #freeMap: Promise<FreeMap> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(blocks: BlockReader | BlockEditor, source: DirectorySource) {
    this.#blocks = blocks
    this.#source = source
  }

  /** Which clusters are free; counted once and kept up to date. */
  freeMap(): Promise<FreeMap> {
    this.#freeMap ??= this.#readFreeMap()
    return this.#freeMap
  }

  /** A cluster that a file begins with is not free, whatever the table says. */
  async #readFreeMap(): Promise<FreeMap> {
    const map = await this.#source.table.readFreeMap()
    try {
      for await (const { entry } of walkEntries(this.#source, await readRoot(this.#source), {
        unusable: 'pass',
      }))
        if (entry.firstCluster !== 0) map.keep(entry.firstCluster)
    } catch (error) {
      // A folder that can't be read to its end: what it says up to there counts.
      if (!(error instanceof FormatError)) throw error
    }
    return map
  }

  writeFile(
    path: string,
    bytes: Uint8Array,
    { modified, wipe = false }: FileTimes & WipeOption,
  ): Promise<void> {
    return this.#edit(async (editor, free) => {
      if (bytes.length > MAX_FILE_BYTES) {
        throw new FormatError(
          `${path} has ${bytes.length} bytes; a file on FAT has at most ${MAX_FILE_BYTES}`,
        )
      }
      const { folder, name, entry } = await this.#locate(path)
      if (entry === undefined) return this.#create(editor, free, folder, name, bytes, modified)
      if (isFolder(entry)) throw new FormatError(`${path} is a folder on the FAT volume, not a file`)
      return this.#replace(editor, free, folder, entry, { bytes, modified, wipe })
    })
  }

  mkdir(path: string, { modified }: FileTimes): Promise<void> {
    return this.#edit(async (editor, free) => {
      let folder = await readRoot(this.#source)
      const names = splitPath(path)
      for (let name = names[0]; name !== undefined; name = names[0]) {
        const entry = findEntry(folder, name)
        if (entry === undefined) break
        const inside = await enter(this.#source, folder, name)
        if (inside === undefined)
          throw new FormatError(`${joinPath(folder, name)} is a file on the FAT volume`)
        folder = inside
        names.shift()
      }
      if (names.length > 0) await this.#createFolders(editor, free, folder, names, modified)
    })
  }

  remove(path: string, { wipe = false }: WipeOption = {}): Promise<void> {
    return this.#edit(async (editor, free) => {
      const { folder, entry } = await this.#locate(path)
      if (entry === undefined) throw new FormatError(`the FAT volume has no ${JSON.stringify(path)}`)
      const clusters = await collectClusters(this.#source, folder, entry)
      const slots = folder.bytes.slice(entry.slot * SLOT_BYTES, (entry.slot + entry.slotCount) * SLOT_BYTES)
      for (let at = 0; at < slots.length; at += SLOT_BYTES) slots[at] = 0xe5
      await writeSlots(editor, folder, entry.slot, slots)
      if (wipe) await this.#wipe(editor, clusters)
      await this.#release(free, clusters)
    })
  }

  /** Run one edit after those before it; then write the FATs and FSInfo, if clusters changed hands. */
  #edit(edit: (editor: BlockEditor, free: FreeMap) => Promise<void>): Promise<void> {
    const blocks = this.#blocks
    const done = this.#last.then(async () => {
      if (!('write' in blocks)) throw new Error('this FAT volume was opened for reading')
      const free = await this.freeMap()
      await edit(blocks, free)
      const { table, geometry } = this.#source
      if (!(await table.flush(blocks)) || geometry.fsInfoOffset === undefined) return
      await updateFsInfo(blocks, blocks, geometry.fsInfoOffset, free)
    })
    this.#last = done.catch(() => undefined)
    return done
  }

  async #locate(path: string): Promise<{ folder: Directory; name: string; entry: DirEntry | undefined }> {
    const found = await locate(this.#source, path)
    if (found === undefined) {
      throw new FormatError(`the FAT volume has no folder for ${JSON.stringify(path)}`)
    }
    if (found.name === undefined) throw new FormatError('the root directory of the FAT volume is not a file')
    return { ...found, name: found.name }
  }

  async #create(
    editor: BlockEditor,
    free: FreeMap,
    folder: Directory,
    name: string,
    bytes: Uint8Array,
    modified: Date,
  ): Promise<void> {
    const placement = planEntry(this.#source, folder, name)
    const needed = this.#clustersFor(bytes.length)
    this.#checkRoom(free, joinPath(folder, name), needed + placement.growth)
    const clusters = free.take(needed)
    await this.#source.table.link(clusters)
    await this.#source.store.writeNew(editor, this.#source.store.ranges(clusters), bytes)
    await addEntry(this.#source, editor, free, folder, placement, {
      name,
      attributes: ATTRIBUTE.archive,
      firstCluster: clusters[0] ?? 0,
      size: bytes.length,
      modified,
    })
  }

  async #replace(
    editor: BlockEditor,
    free: FreeMap,
    folder: Directory,
    entry: DirEntry,
    { bytes, modified, wipe }: { bytes: Uint8Array; modified: Date; wipe: boolean },
  ): Promise<void> {
    const { table, store } = this.#source
    const path = joinPath(folder, entry.name)
    const old = entry.firstCluster === 0 ? [] : await table.chain(entry.firstCluster, path)
    const needed = this.#clustersFor(bytes.length)
    this.#checkRoom(free, path, needed - old.length)
    const { kept, added } = rearrange(free, old, needed)
    const freed = old.slice(kept.length)
    if (wipe) await this.#wipe(editor, freed)
    await this.#release(free, freed)
    await table.link([...kept, ...added])
    const keptBytes = kept.length * this.#source.geometry.clusterBytes
    const fits = bytes.subarray(0, keptBytes)
    await store.writeChanged(editor, store.ranges(kept), wipe ? padded(fits, keptBytes) : fits)
    await store.writeNew(editor, store.ranges(added), bytes.subarray(fits.length))

    const fields = { firstCluster: kept[0] ?? added[0] ?? 0, size: bytes.length, modified }
    const isSame =
      entry.firstCluster === fields.firstCluster &&
      entry.size === fields.size &&
      entry.modified.getTime() === roundTime(modified).getTime()
    if (isSame) return
    const slot = entry.slot + entry.slotCount - 1
    const slotBytes = folder.bytes.slice(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES)
    writeFileFields(slotBytes, fields)
    await editor.write(slotOffset(folder, slot), slotBytes)
  }

  /** Each folder's first entry is the next folder, so all of it is known before anything is written. */
  async #createFolders(
    editor: BlockEditor,
    free: FreeMap,
    parent: Directory,
    names: readonly string[],
    modified: Date,
  ): Promise<void> {
    const { geometry, table, store } = this.#source
    const placement = planEntry(this.#source, parent, names[0] as string)
    const plans = names.map((name, i) => {
      const child = names[i + 1]
      if (i > 0) checkName(name)
      const long = child !== undefined && !isShortName(child)
      const slots = 2 + (child === undefined ? 0 : slotsNeeded(child, long))
      return { name, child, long, count: this.#clustersFor(slots * SLOT_BYTES) }
    })
    const total = plans.reduce((sum, plan) => sum + plan.count, 0)
    this.#checkRoom(free, joinPath(parent, names.join('/')), total + placement.growth)

    const folders = plans.map((plan) => ({ ...plan, clusters: free.take(plan.count) }))
    const firstOf = (i: number): number => folders[i]?.clusters[0] ?? parent.ownCluster
    for (const [i, { child, long, clusters }] of folders.entries()) {
      const bytes = new Uint8Array(clusters.length * geometry.clusterBytes)
      const base = { long: false, attributes: ATTRIBUTE.directory, size: 0, modified }
      const above = i === 0 ? parent.ownCluster : firstOf(i - 1)
      bytes.set(formatEntry({ ...base, name: '.', alias: '.'.padEnd(11), firstCluster: firstOf(i) }))
      bytes.set(formatEntry({ ...base, name: '..', alias: '..'.padEnd(11), firstCluster: above }), SLOT_BYTES)
      if (child !== undefined) {
        const alias = chooseAlias(child, new Set())
        bytes.set(
          formatEntry({ ...base, name: child, alias, long, firstCluster: firstOf(i + 1) }),
          2 * SLOT_BYTES,
        )
      }
      await table.link(clusters)
      await store.writeNew(editor, store.ranges(clusters), bytes)
    }
    await addEntry(this.#source, editor, free, parent, placement, {
      name: names[0] as string,
      attributes: ATTRIBUTE.directory,
      firstCluster: firstOf(0),
      size: 0,
      modified,
    })
  }

  async #release(free: FreeMap, clusters: readonly number[]): Promise<void> {
    await this.#source.table.release(clusters)
    for (const cluster of clusters) free.release(cluster)
  }

  async #wipe(editor: BlockEditor, clusters: readonly number[]): Promise<void> {
    for (const { offset, length } of this.#source.store.ranges(clusters))
      await editor.write(offset, new Uint8Array(length))
  }

  #clustersFor(bytes: number): number {
    return Math.ceil(bytes / this.#source.geometry.clusterBytes)
  }

  #checkRoom(free: FreeMap, path: string, clusters: number): void {
    if (clusters <= free.count) return
    const { clusterBytes } = this.#source.geometry
    throw new FormatError(
      `${path} needs ${clusters * clusterBytes} more bytes on the boot partition, which has ${free.count * clusterBytes} free`,
      { hint: 'Leave out overlays or files, or use an image with a larger boot partition.' },
    )
  }
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const whole = new Uint8Array(length)
  whole.set(bytes)
  return whole
}

/**
 * Which of a file's clusters it keeps, and which are added. A file that no longer
 * fits grows where it stands; else it moves to where it lies in one piece; only
 * when there is no such place is it cut up.
 */
function rearrange(
  free: FreeMap,
  old: readonly number[],
  needed: number,
): { kept: readonly number[]; added: readonly number[] } {
  const missing = needed - old.length
  if (missing <= 0) return { kept: old.slice(0, needed), added: [] }
  const last = old.at(-1)
  if (last === undefined) return { kept: [], added: free.take(missing) }
  const behind = free.takeAt(last + 1, missing)
  if (behind !== undefined) return { kept: old, added: behind }
  const elsewhere = free.takeRun(needed)
  if (elsewhere !== undefined) return { kept: [], added: elsewhere }
  return { kept: old, added: free.take(missing) }
}
