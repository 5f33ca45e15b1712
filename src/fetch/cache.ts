/**
 * The cache: what was downloaded and what was unpacked, by content.
 *
 *   downloads/<sha256>            a download, as published
 *   images/<sha256 of it>.img     the image in it, raw; .json has its size and sha256, signed
 *   locks/<sha256>.download       who downloads it, and .image who unpacks it (../io/entry-lock.ts)
 *
 * A final name appears only after the digest matched, by rename; everything
 * else ends in `.part`. Names are digests, so no key or URL ever becomes a path.
 * A digest that once matched is checked again at each use: disks rot.
 *
 * The folder is the user's own: one that others may write to is refused, and no
 * link in it is followed. It is no witness all the same: what an unpacked image
 * is, the lock says, or this user's own record (./unpack-record.ts).
 */
import { existsSync } from 'node:fs'
import { lstat, lutimes, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LockedImage } from '../catalog/locked-image.ts'
import { DigestError } from '../digest.ts'
import { FetchError } from '../errors.ts'
import { createFileAtomically, syncFolder, writeFileAtomically } from '../io/atomic-file.ts'
import { lockEntry } from '../io/entry-lock.ts'
import { createOwn, makeFolder, openOwn, strangersIn } from '../io/ownership.ts'
import type { Task } from '../progress.ts'
import { type EntryPaths, entryPaths } from './cache-folder.ts'
import { hashOwnFile } from './hash-file.ts'
import { type ImageFacts, openWitness, type Witness } from './unpack-record.ts'

/** An image on this machine. */
export interface CachedImage {
  path: string
  size: number
  sha256: string
}

export interface CacheOptions {
  /** Told once when another process works on the same entry. */
  onWait?: (message: string) => void
  /** Where this user's key for the records of unpacked images is kept; undefined: only this process's are believed. */
  stateFolder?: string
  /** Told once when that key can't be kept. */
  onTrouble?: (message: string) => void
}

/** An image that is to be made, by this process alone. */
export interface ImageClaim {
  /** An empty file to write it to. */
  partial: string
  /** It is whole. @throws {DigestError | FetchError} as `withImage`; then it is still to be dropped */
  keep(built: ImageFacts): Promise<CachedImage>
  /** Nothing of it stays. */
  drop(): Promise<void>
}

export interface WithImageOptions {
  /** false: don't hash an image that is already there; the caller hashes all of it while using it. */
  recheck?: boolean
}

export interface Cache {
  readonly folder: string
  readonly witness: Witness
  entry(id: string): EntryPaths
  /** That part of that entry, for this process alone until `release`. */
  lock(
    id: string,
    part: 'download' | 'image',
    subject: string,
    signal: AbortSignal,
  ): Promise<{ paths: EntryPaths; release: () => void }>
  /** Do `work` while no other process works on that part of that entry. */
  whileLocked<T>(
    id: string,
    part: 'download' | 'image',
    subject: string,
    signal: AbortSignal,
    work: (paths: EntryPaths) => Promise<T>,
  ): Promise<T>
  /** Remember a `file:` image as it was when its digest matched: `withImage` sees whether it changed since. */
  rememberLocal(path: string, identity: string): void
  /**
   * The image in a download if it is here, else the right to make it.
   * @throws {DigestError} what was here is not what the lock says; nothing of it is kept
   */
  claimImage(image: LockedImage, task: Task, options?: WithImageOptions): Promise<CachedImage | ImageClaim>
  /**
   * The image in a download. `build` writes it whole to the path it is given and returns what it wrote;
   * it is not called when the image is already here. It may call `fetchImage` itself.
   * @throws {DigestError} what was built, or what was here, is not what the lock says; nothing of it is kept
   * @throws {FetchError} a `file:` image changed while it was read
   */
  withImage(
    image: LockedImage,
    build: (partialPath: string) => Promise<{ size: number; sha256: string }>,
    task: Task,
    options?: WithImageOptions,
  ): Promise<CachedImage>
}

/**
 * Open the cache at `wanted`, made if it isn't there.
 * @throws {FetchError} it can't be made, or others may write to it
 */
export async function openCache(wanted: string, options: CacheOptions = {}): Promise<Cache> {
  const folder = await makeFolders(wanted)
  const witness = openWitness(options.stateFolder, (why) => options.onTrouble?.(why))
  const locals = new Map<string, string>()

  const cache: Cache = {
    folder,
    witness,
    entry: (id) => entryPaths(folder, id),
    async lock(id, part, subject, signal) {
      const paths = entryPaths(folder, id)
      const lock = await lockEntry(paths.locks[part], signal, (pid) =>
        options.onWait?.(`waiting for process ${pid}, which works on ${subject}`),
      ).catch((error) => {
        throw error.syscall === undefined ? error : unusable(folder, error)
      })
      try {
        await requireNoFolders(paths)
      } catch (error) {
        lock.release()
        throw error
      }
      return { paths, release: () => lock.release() }
    },
    async whileLocked(id, part, subject, signal, work) {
      const { paths, release } = await cache.lock(id, part, subject, signal)
      try {
        return await work(paths)
      } finally {
        release()
      }
    },
    rememberLocal: (path, identity) => void locals.set(path, identity),
    async claimImage(image, task, { recheck = true } = {}) {
      const id = image.download.sha256
      const { paths, release } = await cache.lock(id, 'image', image.key, task.signal)
      try {
        const found = await findImage(paths, image, recheck, witness, task)
        if (found === undefined) await (await createOwn(paths.imagePartial, FILE_MODE)).close()
        else release()
        if (found !== undefined) return found
      } catch (error) {
        release()
        throw error
      }
      return {
        partial: paths.imagePartial,
        async keep(built) {
          await refuseChangedLocal(image, locals)
          refuseOther(image, built, image.key)
          await keepImage(paths, built, await witness.sign(id, built))
          release()
          return { path: paths.image, ...built }
        },
        async drop() {
          await rm(paths.imagePartial, { force: true }).finally(release)
        },
      }
    },
    async withImage(image, build, task, withOptions) {
      const claim = await cache.claimImage(image, task, withOptions)
      if (!('keep' in claim)) return claim
      try {
        return await claim.keep(await build(claim.partial))
      } catch (error) {
        await claim.drop()
        throw error
      }
    },
  }
  return cache
}

/** Files in it, whatever the umask is. */
export const FILE_MODE = 0o600

/** @returns the folder's path without links */
async function makeFolders(wanted: string): Promise<string> {
  try {
    const folder = await makeFolder(wanted)
    for (const name of ['.', 'downloads', 'images', 'locks']) {
      const strangers = await strangersIn(await makeFolder(join(folder, name)))
      if (strangers !== undefined) throw unsafe(folder, strangers)
    }
    // Backup programs that know this tag leave the folder out (bford.info/cachedir).
    const tag =
      'Signature: 8a477f597d28d172789f06886806bc55\n# Made by piimage; everything here can be fetched again.\n'
    const tagFile = join(folder, 'CACHEDIR.TAG')
    if (!existsSync(tagFile))
      await createFileAtomically(tagFile, tag, FILE_MODE).catch((error) => {
        if (error.code !== 'EEXIST') throw error
      })
    return folder
  } catch (error) {
    throw error instanceof FetchError ? error : unusable(wanted, error as NodeJS.ErrnoException)
  }
}

function unsafe(folder: string, strangers: string): FetchError {
  return new FetchError(`the cache folder ${folder} is not safe to use: ${strangers}`, {
    hint: 'Take that right away (chmod go-w), or choose a folder of your own with --cache DIR or PIIMAGE_CACHE',
  })
}

function unusable(folder: string, cause: NodeJS.ErrnoException): FetchError {
  return new FetchError(`the cache folder ${folder} can't be written: ${cause.code}`, {
    hint: 'Choose another with --cache DIR or PIIMAGE_CACHE',
    cause,
  })
}

/** A folder in the place of a file is not ours, and nothing can be put there. */
async function requireNoFolders({ locks: _, ...files }: EntryPaths): Promise<void> {
  for (const path of Object.values(files)) {
    const info = await lstat(path).catch(() => undefined)
    if (info?.isDirectory())
      throw new FetchError(`${path} is a folder, where the cache keeps a file`, {
        hint: 'Remove it, or choose another cache with --cache DIR or PIIMAGE_CACHE',
      })
  }
}

/** The image that is here, touched so that `prune` sees it in use; undefined: none. */
async function findImage(
  paths: EntryPaths,
  image: LockedImage,
  recheck: boolean,
  witness: Witness,
  task: Task,
): Promise<CachedImage | undefined> {
  const said = await readImageFacts(paths)
  if (said === undefined) return undefined
  const { code, ...facts } = said
  if (image.extracted === null && !(await witness.knows(image.download.sha256, facts, code))) return undefined
  try {
    const whole = (await lstat(paths.image)).size === facts.size
    const found = recheck || !whole ? await hashOwnFile(paths.image, task, image.key) : facts
    if (found.sha256 !== facts.sha256) {
      throw new DigestError(paths.image, facts.sha256, found.sha256, {
        hint: 'It was damaged in the cache and is removed; run again to unpack it afresh',
      })
    }
    refuseOther(image, facts, paths.image)
  } catch (error) {
    if (error instanceof DigestError) await rm(paths.image, { force: true })
    throw error
  }
  await touch(paths.image)
  return { path: paths.image, ...facts }
}

/** What the file beside the image of an entry says of it, and whose word that is; undefined: there is none. */
export async function readImageFacts(
  paths: EntryPaths,
): Promise<(ImageFacts & { code: unknown }) | undefined> {
  try {
    const handle = await openOwn(paths.imageFacts)
    const text = await handle.readFile('utf8').finally(() => handle.close())
    const { size, sha256, code } = JSON.parse(text)
    await (await openOwn(paths.image)).close()
    return Number.isSafeInteger(size) && /^[0-9a-f]{64}$/.test(sha256) ? { size, sha256, code } : undefined
  } catch {
    return undefined
  }
}

/** @throws {DigestError} the lock says otherwise */
function refuseOther(image: LockedImage, built: { size: number; sha256: string }, what: string): void {
  const { extracted } = image
  if (extracted === null || extracted.sha256 === built.sha256) return
  throw new DigestError(`the image in ${what} (${built.size} bytes)`, extracted.sha256, built.sha256, {
    hint: `Nothing was kept. The download is the right one, so the entry's "extracted" is wrong: piimage images lock ${image.url}`,
  })
}

/** The facts first: without the image they say nothing. */
async function keepImage(paths: EntryPaths, facts: ImageFacts, code: string): Promise<void> {
  const handle = await open(paths.imagePartial, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
  await writeFileAtomically(paths.imageFacts, `${JSON.stringify({ ...facts, code })}\n`, FILE_MODE)
  await rename(paths.imagePartial, paths.image)
  await syncFolder(dirname(paths.image))
}

/** What tells one state of a file from another; ctime can't be set back by its owner. */
export async function fileIdentity(path: string): Promise<string> {
  const { dev, ino, size, ctimeNs } = await stat(path, { bigint: true })
  return [dev, ino, size, ctimeNs].join(':')
}

async function refuseChangedLocal(image: LockedImage, locals: Map<string, string>): Promise<void> {
  if (!image.url.startsWith('file:')) return
  const path = fileURLToPath(image.url)
  const before = locals.get(path)
  if (before !== undefined && before !== (await fileIdentity(path))) {
    throw new FetchError(`${path} changed while it was read`, {
      hint: 'Run again when nothing writes to it any more',
    })
  }
}

/** Mark as used now. */
export async function touch(path: string): Promise<void> {
  const now = new Date()
  await lutimes(path, now, now)
}
