/**
 * The tree of directories: from a path to its entry, and through everything below.
 */
import { FormatError } from '../../errors.ts'
import { ATTRIBUTE, type DirEntry } from './dir-entry.ts'
import {
  type Directory,
  type DirectorySource,
  describeFolder,
  findEntry,
  readFolder,
  readRoot,
  unusableEntry,
} from './directory.ts'
import { splitPath } from './names.ts'

/** Where a path leads. Without `name` it is the root itself. */
export interface Location {
  /** The folder the last name is in. */
  folder: Directory
  name: string | undefined
  /** What stands there; undefined when nothing does. */
  entry: DirEntry | undefined
}

export const isFolder = (entry: DirEntry): boolean => (entry.attributes & ATTRIBUTE.directory) !== 0

export const joinPath = (folder: Directory, name: string): string =>
  folder.path === '' ? name : `${folder.path}/${name}`

/** The folder of the last name and what stands there; undefined when that folder does not exist. */
export async function locate(source: DirectorySource, path: string): Promise<Location | undefined> {
  const names = splitPath(path)
  const name = names.pop()
  let folder: Directory | undefined = await readRoot(source)
  for (const step of names) {
    folder = await enter(source, folder, step)
    if (folder === undefined) return undefined
  }
  return { folder, name, entry: name === undefined ? undefined : findEntry(folder, name) }
}

/** @throws {FormatError} there is no such folder */
export async function findFolder(source: DirectorySource, path: string): Promise<Directory> {
  let folder = await readRoot(source)
  for (const step of splitPath(path)) {
    const next = await enter(source, folder, step)
    if (next === undefined) throw new FormatError(`the FAT volume has no folder ${JSON.stringify(path)}`)
    folder = next
  }
  return folder
}

/** The folder `name` inside `folder`; undefined when there is none. */
export async function enter(
  source: DirectorySource,
  folder: Directory,
  name: string,
): Promise<Directory | undefined> {
  const entry = findEntry(folder, name)
  if (entry === undefined || !isFolder(entry)) return undefined
  return readFolder(source, joinPath(folder, entry.name), entry.firstCluster)
}

/**
 * Everything below `top`, each folder before what is in it. A folder's clusters
 * may belong to no other folder, so a tree that contains itself ends in an error.
 * @param options whether an entry without a usable name ends the walk, which is else passed over
 * @throws {FormatError} two folders share a cluster, a folder is damaged, or something in it has no usable name
 */
export async function* walkEntries(
  source: DirectorySource,
  top: Directory,
  { unusable = 'refuse' }: { unusable?: 'refuse' | 'pass' } = {},
): AsyncGenerator<{ folder: Directory; entry: DirEntry; inside: Directory | undefined }> {
  const seen = new Set(top.clusters)
  if (unusable === 'refuse') refuseUnusable(top)
  const pending = [{ folder: top, next: 0 }]
  for (let level = pending.at(-1); level !== undefined; level = pending.at(-1)) {
    const { folder } = level
    const entry = folder.entries[level.next]
    level.next += 1
    if (entry === undefined) {
      pending.pop()
      continue
    }
    const inside = isFolder(entry)
      ? await readFolder(source, joinPath(folder, entry.name), entry.firstCluster)
      : undefined
    for (const cluster of inside?.clusters ?? []) {
      if (seen.has(cluster)) {
        throw new FormatError(
          `${describeFolder(inside?.path ?? '')} shares cluster ${cluster} with another folder`,
        )
      }
      seen.add(cluster)
    }
    if (inside !== undefined && unusable === 'refuse') refuseUnusable(inside)
    yield { folder, entry, inside }
    if (inside !== undefined) pending.push({ folder: inside, next: 0 })
  }
}

/** Whoever asks for everything would get less, and not know. */
function refuseUnusable(folder: Directory): void {
  const problem = unusableEntry(folder)
  if (problem !== undefined)
    throw new FormatError(problem, {
      hint: 'Repair the FAT on a copy of the image: fsck.fat renames the entry.',
    })
}

/**
 * All clusters of an entry and of what is below it.
 * @throws {FormatError} a chain is broken, or two of them share a cluster
 */
export async function collectClusters(
  source: DirectorySource,
  folder: Directory,
  entry: DirEntry,
): Promise<number[]> {
  const seen = new Set<number>()
  const collect = (clusters: readonly number[], path: string): void => {
    for (const cluster of clusters) {
      if (seen.has(cluster)) throw new FormatError(`${path} shares cluster ${cluster} with another file`)
      seen.add(cluster)
    }
  }
  const collectFile = async (file: DirEntry, path: string): Promise<void> => {
    if (file.firstCluster !== 0) collect(await source.table.chain(file.firstCluster, path), path)
  }
  const path = joinPath(folder, entry.name)
  if (!isFolder(entry)) {
    await collectFile(entry, path)
    return [...seen]
  }
  const top = await readFolder(source, path, entry.firstCluster)
  collect(top.clusters, path)
  for await (const { folder: at, entry: below, inside } of walkEntries(source, top)) {
    const belowPath = joinPath(at, below.name)
    if (inside === undefined) await collectFile(below, belowPath)
    else collect(inside.clusters, belowPath)
  }
  return [...seen]
}
