/** What is in the cache: list it, check it, throw parts of it away. */
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type EntryLock, lockIfFree } from '../io/entry-lock.ts'
import type { Task } from '../progress.ts'
import { type Cache, readImageFacts } from './cache.ts'
import type { EntryPaths } from './cache-folder.ts'
import { hashOwnFile } from './hash-file.ts'

export interface CacheEntry {
  /** sha256 of the download; `url-…` for a first download that was never finished. */
  id: string
  /** Bytes on disk of the download; null: not here. */
  downloadBytes: number | null
  /** Bytes on disk of the unpacked image, which is sparse; null: not here. */
  imageBytes: number | null
  /** Bytes on disk of what is not whole. */
  partialBytes: number
  /** The last use of what is whole, or the last change of what isn't. */
  usedAt: Date
}

/** All entries, by id. */
export async function listCache(cache: Cache): Promise<CacheEntry[]> {
  const files = await listFiles(cache)
  return Promise.all([...files.keys()].sort().map((id) => readEntry(cache, id, files.get(id) ?? [])))
}

/** The files of each entry; what isn't named as the cache names things is not ours. */
async function listFiles(cache: Cache): Promise<Map<string, string[]>> {
  const files = new Map<string, string[]>()
  for (const folder of ['downloads', 'images']) {
    for (const name of await readdir(join(cache.folder, folder))) {
      const id = /^((?:url-)?[0-9a-f]{64})(?=$|\.)/.exec(name)?.[1]
      if (id !== undefined) files.set(id, [...(files.get(id) ?? []), join(cache.folder, folder, name)])
    }
  }
  return files
}

/** Downloads and images under way, and files that were never renamed into place. */
const isPartial = (path: string): boolean => /\.part(\.json)?$/.test(path)

async function readEntry(cache: Cache, id: string, files: readonly string[]): Promise<CacheEntry> {
  const paths = cache.entry(id)
  const download = await onDisk(paths.download)
  const image = await onDisk(paths.image)
  const partials = await Promise.all(files.filter(isPartial).map(onDisk))
  const times = [download, image, ...partials].map((file) => file?.usedMs ?? 0)
  return {
    id,
    downloadBytes: download?.bytes ?? null,
    imageBytes: image?.bytes ?? null,
    partialBytes: partials.reduce((sum, file) => sum + (file?.bytes ?? 0), 0),
    usedAt: new Date(Math.max(...times)),
  }
}

async function onDisk(path: string): Promise<{ bytes: number; usedMs: number } | undefined> {
  try {
    const { blocks, size, mtimeMs } = await lstat(path)
    // Windows counts no blocks.
    return { bytes: blocks === undefined || blocks === 0 ? size : blocks * 512, usedMs: mtimeMs }
  } catch {
    return undefined
  }
}

export type PruneChoice =
  /** Entries whose download digest is not among these. */
  | { keep: ReadonlySet<string> }
  /** Entries not used since. */
  | { unusedSince: Date }
  | { everything: true }

export interface Pruned {
  /** Ids of the entries that are gone. */
  removed: string[]
  freedBytes: number
  /** Ids left alone because a live process works on them. */
  busy: string[]
}

/**
 * Remove the chosen entries, and in every other entry what is not whole.
 * @param apply false: only say what would go
 * @throws the signal's reason, between two entries or while a lock is waited for
 */
export async function pruneCache(
  cache: Cache,
  choice: PruneChoice,
  signal: AbortSignal,
  apply = true,
): Promise<Pruned> {
  const pruned: Pruned = { removed: [], freedBytes: 0, busy: [] }
  for (const entry of await listCache(cache)) {
    const whole = isChosen(entry, choice)
    if (!whole && entry.partialBytes === 0) continue
    const locks = await lockWhole(cache.entry(entry.id), signal)
    if (locks === undefined) {
      pruned.busy.push(entry.id)
      continue
    }
    try {
      await pruneEntry(cache, entry.id, whole, apply, pruned)
    } finally {
      for (const lock of locks) lock.release()
    }
  }
  if (apply) await dropStaleLocks(cache, signal)
  return pruned
}

/** Locks of killed processes whose entries nobody asked for since. */
async function dropStaleLocks(cache: Cache, signal: AbortSignal): Promise<void> {
  for (const name of await readdir(join(cache.folder, 'locks'))) {
    if (!/^(url-)?[0-9a-f]{64}\.(download|image)$/.test(name)) continue
    const lock = await lockIfFree(join(cache.folder, 'locks', name), signal)
    if ('release' in lock) lock.release()
  }
}

/** Both locks of an entry, or none: undefined while a live process has one. */
async function lockWhole(paths: EntryPaths, signal: AbortSignal): Promise<EntryLock[] | undefined> {
  const download = await lockIfFree(paths.locks.download, signal)
  if ('heldBy' in download) return undefined
  try {
    const image = await lockIfFree(paths.locks.image, signal)
    if (!('heldBy' in image)) return [download, image]
  } catch (error) {
    download.release()
    throw error
  }
  download.release()
  return undefined
}

async function pruneEntry(
  cache: Cache,
  id: string,
  whole: boolean,
  apply: boolean,
  pruned: Pruned,
): Promise<void> {
  // Read again, now that nobody else can change it.
  const files = (await listFiles(cache)).get(id) ?? []
  const { partialBytes, downloadBytes, imageBytes } = await readEntry(cache, id, files)
  pruned.freedBytes += partialBytes + (whole ? (downloadBytes ?? 0) + (imageBytes ?? 0) : 0)
  if (whole) pruned.removed.push(id)
  if (!apply) return
  for (const path of files) if (whole || isPartial(path)) await rm(path, { force: true })
}

function isChosen(entry: CacheEntry, choice: PruneChoice): boolean {
  if ('everything' in choice) return true
  if ('keep' in choice) return !choice.keep.has(entry.id)
  return entry.usedAt.getTime() < choice.unusedSince.getTime()
}

export interface Checked {
  id: string
  what: 'download' | 'image'
  path: string
  /** null: neither the lock nor this user's own record says what it should be; the next use unpacks it again. */
  expected: string | null
  /** sha256 of what is there now. */
  actual: string
  ok: boolean
}

/**
 * Hash everything that is whole, again. Reports, removes nothing: the next use refuses what is damaged.
 * @param locked by download, the digest of its image where a lock says it
 */
export async function verifyCache(
  cache: Cache,
  task: Task,
  locked: ReadonlyMap<string, string> = new Map(),
): Promise<Checked[]> {
  const results: Checked[] = []
  for (const { id, downloadBytes } of await listCache(cache)) {
    const paths = cache.entry(id)
    const facts = await readImageFacts(paths)
    const checks: Pick<Checked, 'what' | 'path' | 'expected'>[] = []
    if (downloadBytes !== null) checks.push({ what: 'download', path: paths.download, expected: id })
    if (facts !== undefined) {
      const ours = (await cache.witness.knows(id, facts, facts.code)) ? facts.sha256 : null
      checks.push({ what: 'image', path: paths.image, expected: locked.get(id) ?? ours })
    }
    for (const check of checks) {
      const { sha256 } = await hashOwnFile(check.path, task, `${check.what} ${id.slice(0, 12)}`)
      results.push({ id, ...check, actual: sha256, ok: sha256 === check.expected })
    }
  }
  return results
}
