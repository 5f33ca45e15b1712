/**
 * LockedImage → the path of its download on this machine, digest checked.
 *
 * A `file:` image is hashed where it lies and not copied; should it change
 * between that and the end of unpacking, `cache.withImage` notices.
 */
import { rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LockedImage } from '../catalog/locked-image.ts'
import { DigestError, sha256 } from '../digest.ts'
import { FetchError } from '../errors.ts'
import { syncFolder } from '../io/atomic-file.ts'
import { openOwn } from '../io/ownership.ts'
import type { Task } from '../progress.ts'
import { type Cache, fileIdentity, touch } from './cache.ts'
import type { EntryPaths } from './cache-folder.ts'
import { type Downloaded, download } from './download.ts'
import { hashFile, hashOwnFile } from './hash-file.ts'
import { type Http, shownUrl } from './http.ts'
import { removePartial } from './partial-file.ts'
import type { RetryPolicy } from './retry.ts'

export interface FetchOptions {
  http: Http
  /** Ask no network. */
  offline: boolean
  retry?: RetryPolicy
  /**
   * Called with the path of a file that is here already, before its digest is
   * checked: who can take back what comes of it may start.
   */
  onHere?: (path: string) => void
  /** The same for a file on its way: how many bytes from its start are in `path`. Waited for. */
  onGrowth?: (path: string, bytes: number) => Promise<void>
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
  if (image.url.startsWith('file:')) return checkLocal(image, cache, options, task)
  const { sha256, size } = image.download
  return cache.whileLocked(sha256, 'download', image.key, task.signal, async (paths) => {
    if (await isCached(paths, image.key, sha256, task, options.onHere)) return paths.download
    if (options.offline) {
      throw new FetchError(
        `${image.key} is not in the cache ${cache.folder}, and --offline forbids fetching it`,
        {
          hint: `Once, with a network: piimage images fetch ${image.key}`,
        },
      )
    }
    const urls = [image.url, ...(image.mirrors ?? [])]
    await downloadChecked({ urls, size, sha256, subject: image.key }, paths, options, task)
    return paths.download
  })
}

/** Something to download whose digest somebody has already said. */
interface Wanted {
  urls: string[]
  size: number | null
  sha256: string
  subject: string
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
    const got = await download(
      {
        ...wanted,
        urls,
        partial: paths.downloadPartial,
        onGrowth: async (bytes) => options.onGrowth?.(paths.downloadPartial, bytes),
      },
      options.http,
      task,
      options.retry,
    )
    if (got.sha256 === wanted.sha256) return keep(paths.downloadPartial, paths.download)
    await removePartial(paths.downloadPartial)
    // A part from an earlier run may have rotted, or was torn by a power cut: once more, from 0.
    if (got.resumed) continue
    const rest = urls.slice(urls.indexOf(got.url) + 1)
    if (rest.length === 0) throw wrongBytes(got, wanted)
    urls = rest
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

/** Whether the download is here and still what it was. @throws {DigestError} it is here and isn't */
async function isCached(
  paths: EntryPaths,
  subject: string,
  sha256: string,
  task: Task,
  onHere?: (path: string) => void,
): Promise<boolean> {
  if (!(await exists(paths.download))) return false
  onHere?.(paths.download)
  const found = await hashOwnFile(paths.download, task, subject)
  if (found.sha256 !== sha256) {
    await rm(paths.download, { force: true })
    throw new DigestError(paths.download, sha256, found.sha256, {
      hint: 'It was damaged in the cache and is removed; run again to download it afresh',
    })
  }
  await touch(paths.download)
  return true
}

async function checkLocal(
  image: LockedImage,
  cache: Cache,
  { onHere }: FetchOptions,
  task: Task,
): Promise<string> {
  const { path, sha256, size } = await hashLocal(image.url, image.key, cache, task, onHere)
  if (sha256 !== image.download.sha256) {
    const hint = `It has ${size} bytes and was left as it is. If it is the right file: piimage images lock ${image.written?.url ?? image.url} --sha256 ${sha256}`
    throw new DigestError(path, image.download.sha256, sha256, { hint })
  }
  return path
}

async function hashLocal(
  url: string,
  subject: string,
  cache: Cache,
  task: Task,
  onHere?: (path: string) => void,
): Promise<LocalFile> {
  try {
    const path = fileURLToPath(url)
    const before = await fileIdentity(path)
    onHere?.(path)
    const found = await hashFile(path, task, subject)
    cache.rememberLocal(path, before)
    return { path, ...found }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === undefined || task.signal.aborted) throw error
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
    if (expected.sha256 !== undefined && (await isCached(paths, subject, expected.sha256, task))) {
      return { path: paths.download, size: (await stat(paths.download)).size, sha256: expected.sha256 }
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
