/**
 * LockedImage → the path of its download on this machine, digest checked.
 *
 * A `file:` image is hashed where it lies and not copied; should it change
 * between that and the end of unpacking, `cache.withImage` notices.
 */
import { type FileHandle, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LockedImage } from '../catalog/locked-image.ts'
import { DigestError, sha256 } from '../digest.ts'
import { FetchError } from '../errors.ts'
import { syncFolder } from '../io/atomic-file.ts'
import { UnfitFileError } from '../io/input-file.ts'
import { appendToOwn, openOwn } from '../io/ownership.ts'
import { Watermark } from '../io/watermark.ts'
import type { Task } from '../progress.ts'
import { type Cache, fileIdentity, touch } from './cache.ts'
import type { EntryPaths } from './cache-folder.ts'
import { type Downloaded, download, OWN_FILE_HINT } from './download.ts'
import { hashFile, hashOwnFile } from './hash-file.ts'
import { type Http, shownUrl } from './http.ts'
import { forgetPartial, PARTIAL_MODE, removePartial } from './partial-file.ts'
import type { RetryPolicy } from './retry.ts'

export interface FetchOptions {
  http: Http
  /** Ask no network. */
  offline: boolean
  retry?: RetryPolicy
}

/** A file as published, on its way to being here whole and right. */
export interface Fetching {
  /** Its path, if all of it is here already. */
  here?: string
  /** What there is of one that is still coming, if its size is known. */
  arriving?: Arriving
  /** Its path once all of it is here and its digest matched. @throws as `fetchImage` */
  checked: Promise<string>
}

export interface Arriving {
  path: string
  /** Open for reading, whatever becomes of its name; closed by who was given it. */
  handle: FileHandle
  /** Bytes it will have. */
  size: number
  /** Resolves when the bytes up to `end` are there. @throws what ends the download */
  reach: (end: number) => Promise<void>
}

/**
 * @returns path of the file as published (still packed); do not write to it
 * @throws {DigestError} the bytes are not the ones the lock names; what was downloaded is removed
 * @throws {FetchError} no address gives it, or it isn't here and `offline` was asked for
 */
export async function fetchImage(
  image: LockedImage,
  cache: Cache,
  options: FetchOptions,
  task: Task,
): Promise<string> {
  const { arriving, checked } = await startFetch(image, cache, options, task)
  await arriving?.handle.close()
  return checked
}

/** The same for who can take back what comes of it: may read what there is before its digest is known. */
export async function startFetch(
  image: LockedImage,
  cache: Cache,
  options: FetchOptions,
  task: Task,
): Promise<Fetching> {
  if (image.url.startsWith('file:'))
    return { here: fileURLToPath(image.url), checked: quiet(checkLocal(image, cache, task)) }
  const { key } = image
  const { sha256, size } = image.download
  const { paths, release } = await cache.lock(sha256, 'download', key, task.signal)
  try {
    if (await exists(paths.download)) {
      const checked = checkCached(paths, key, sha256, task).finally(release)
      return { here: paths.download, checked: quiet(checked) }
    }
    if (options.offline) {
      throw new FetchError(`${key} is not in the cache ${cache.folder}, and --offline forbids fetching it`, {
        hint: [`Once, with a network: piimage images fetch ${key}`, OWN_FILE_HINT],
      })
    }
  } catch (error) {
    release()
    throw error
  }
  const arrived = new Watermark()
  const path = paths.downloadPartial
  const handle = size === null ? undefined : await openArriving(path)
  const urls = [image.url, ...(image.mirrors ?? [])]
  const checked = downloadChecked({ urls, size, sha256, subject: key, arrived }, paths, options, task)
    .then(() => {
      if (size !== null) arrived.raise(size)
      return paths.download
    })
    .finally(release)
  checked.catch((error) => arrived.fail(error))
  if (size === null || handle === undefined) return { checked }
  return { arriving: { path, handle, size, reach: (end) => arrived.reach(end) }, checked }
}

/** Whoever started it may be busy elsewhere when it fails. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** Made, if it isn't there. @returns undefined: the disk refuses it, which the download says in words */
async function openArriving(partial: string): Promise<FileHandle | undefined> {
  try {
    await (await appendToOwn(partial, PARTIAL_MODE)).close()
    return await openOwn(partial)
  } catch {
    return undefined
  }
}

/** Something to download whose digest somebody has already said. */
interface Wanted {
  urls: string[]
  size: number | null
  sha256: string
  subject: string
  arrived: Watermark
}

/** Each address in turn until one has the right bytes; then they get their final name. */
async function downloadChecked(
  wanted: Wanted,
  paths: EntryPaths,
  options: FetchOptions,
  task: Task,
): Promise<void> {
  let urls = wanted.urls
  for (;;) {
    const partial = paths.downloadPartial
    const got = await download({ ...wanted, urls, partial }, options.http, task, options.retry)
    if (got.sha256 === wanted.sha256) return keep(partial, paths.download)
    const rest = urls.slice(urls.indexOf(got.url) + 1)
    // A part from an earlier run may have rotted, or was torn by a power cut: once more, from 0.
    if (!got.resumed && rest.length === 0) {
      await removePartial(partial)
      throw wrongBytes(got, wanted)
    }
    await forgetPartial(partial)
    wanted.arrived.restart()
    if (!got.resumed) urls = rest
  }
}

function wrongBytes(got: Downloaded, wanted: Wanted): DigestError {
  return new DigestError(shownUrl(got.url), wanted.sha256, got.sha256, {
    hint: `Nothing was kept. Run again to download afresh; if the publisher changed the image: piimage images lock ${shownUrl(got.url)}`,
  })
}

async function keep(partial: string, final: string): Promise<void> {
  await rename(partial, final)
  await removePartial(partial)
  await syncFolder(dirname(final))
}

/** A download that is here, if it is still what it was. @throws {DigestError} it isn't */
async function checkCached(paths: EntryPaths, subject: string, sha256: string, task: Task): Promise<string> {
  const found = await hashOwnFile(paths.download, task, subject)
  if (found.sha256 !== sha256) {
    await rm(paths.download, { force: true })
    throw new DigestError(paths.download, sha256, found.sha256, {
      hint: 'It was damaged in the cache and is removed; run again to download it afresh',
    })
  }
  await touch(paths.download)
  return paths.download
}

async function checkLocal(image: LockedImage, cache: Cache, task: Task): Promise<string> {
  const { path, sha256, size } = await hashLocal(image.url, image.key, cache, task)
  if (sha256 !== image.download.sha256) {
    const hint = `It has ${size} bytes and was left as it is. If it is the right file: piimage images lock ${image.written?.url ?? image.url} --sha256 ${sha256}`
    throw new DigestError(path, image.download.sha256, sha256, { hint })
  }
  return path
}

async function hashLocal(url: string, subject: string, cache: Cache, task: Task): Promise<LocalFile> {
  try {
    const path = fileURLToPath(url)
    const before = await fileIdentity(path)
    const found = await hashFile(path, task, subject)
    cache.rememberLocal(path, before)
    return { path, ...found }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === undefined || task.signal.aborted) throw error
    if (error instanceof UnfitFileError) throw new FetchError(error.message, error)
    throw new FetchError(`${url} of ${subject} can't be read: ${code}`, {
      hint: 'Put the file there, or lock another address: piimage images lock URL',
      cause: error,
    })
  }
}

interface LocalFile {
  path: string
  size: number
  sha256: string
}

/**
 * Get a file that is not locked yet into the cache, so that locking and then
 * flashing downloads it once. For `piimage images lock` only.
 * @param expected its digest, where the publisher says it; undefined: whatever comes is hashed (first use)
 * @throws {FetchError} no file; a digest other than `expected` leaves nothing behind
 */
export async function fetchUnlocked(
  url: string,
  expected: { sha256?: string; size: number | null },
  cache: Cache,
  options: FetchOptions,
  task: Task,
): Promise<LocalFile> {
  if (url.startsWith('file:')) return hashLocal(url, shownUrl(url), cache, task)
  const subject = shownUrl(url).replace(/^.*\//, '')
  const id = expected.sha256 ?? `url-${sha256(url)}`
  return cache.whileLocked(id, 'download', subject, task.signal, async (paths) => {
    if (expected.sha256 !== undefined && (await exists(paths.download))) {
      const path = await checkCached(paths, subject, expected.sha256, task)
      return { path, size: (await stat(path)).size, sha256: expected.sha256 }
    }
    const partial = paths.downloadPartial
    const got = await download(
      { urls: [url], partial, size: expected.size, sizeSaidBy: 'its publisher', subject },
      options.http,
      task,
      options.retry,
    )
    if (expected.sha256 !== undefined && got.sha256 !== expected.sha256) {
      await removePartial(partial)
      throw new FetchError(
        `sha256 of ${shownUrl(url)} is ${got.sha256}; its publisher says ${expected.sha256}`,
        {
          hint: 'Nothing was kept or locked. Try again later: a mirror may be between two releases',
        },
      )
    }
    const path = cache.entry(got.sha256).download
    await keep(partial, path)
    return { path, size: got.size, sha256: got.sha256 }
  })
}

/** A plain file: a link is none. */
async function exists(path: string): Promise<boolean> {
  return openOwn(path).then(
    (handle) => handle.close().then(() => true),
    () => false,
  )
}
