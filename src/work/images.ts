/** `images`: the lock (what is trusted) and the cache (what is here). */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { addressOf } from '../catalog/addresses.ts'
import { addToLock, findImage, formatLock, readLock } from '../catalog/lock.ts'
import type { Lock, LockedImage } from '../catalog/locked-image.ts'
import { kindOf, newestNamed } from '../catalog/short-names.ts'
import { FetchError, UsageError } from '../errors.ts'
import { listCache, type Pruned, pruneCache, verifyCache } from '../fetch/cache-contents.ts'
import { OWN_FILE_HINT } from '../fetch/download.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { digestFile } from '../io/digest-file.ts'
import { readInputText } from '../io/input-file.ts'
import { type Caller, note, taskOf } from './caller.ts'
import type { ImageEvent } from './events.ts'
import { whileFileLocked } from './file-lock.ts'
import { cacheOf, LOCK_FILE, readLocks, readOwnLock, shippedLock } from './project.ts'
import { type ClusterRequest, clusterFolder, clusterPath } from './request.ts'

type ListedImage = Omit<Extract<ImageEvent, { event: 'image' }>, 'event'>

/** Every image of the lock in force, and how much of it is here. */
export async function listImages(
  request: ClusterRequest,
  caller: Caller,
): Promise<{ lock: string; images: ListedImage[] }> {
  const lock = await readLocks(request, caller)
  const here = new Map((await listCache(await cacheOf(request, caller))).map((entry) => [entry.id, entry]))
  const images = [...lock.images.values()].map((image): ListedImage => {
    const entry = here.get(image.download.sha256)
    return {
      ...image,
      newest: newestNamed(lock.images, kindOf(image.key)) === image.key,
      cached: entry?.imageBytes ? 'unpacked' : entry?.downloadBytes ? 'downloaded' : null,
    }
  })
  for (const image of images) caller.onEvent({ event: 'image', ...image })
  return { lock: lock.file, images }
}

export interface LockRequest extends ClusterRequest {
  /**
   * An address; the name of an image, with or without a version, whose publisher's
   * address is known; or the path of an image file, which counts as it is.
   */
  url: string
  /** Name of the entry. Default: from the address. */
  key?: string
  /** The digest, where the publisher gives none. */
  sha256?: string
  /** Take what is served now as right. */
  trustFirstUse?: boolean
  /** Check the publisher's signature. Default true. */
  signature?: boolean
}

export interface LockedEntry {
  key: string
  change: ReturnType<typeof addToLock>['change']
  image: LockedImage
  /** The lock file. */
  lock: string
}

/** Ask the publisher, and write the cluster's own lock; never the one that ships with piimage. */
export async function lockImage(request: LockRequest, caller: Caller): Promise<LockedEntry> {
  // What is wrong with it is known before anything is downloaded.
  await readLockToWrite(request, caller)
  return addImage(await describeImage(request, caller), request, caller)
}

/** Whether `lock` would take it for an image file of the person's own. */
export const isOwnFile = (name: string, { cwd }: Pick<Caller, 'cwd'>): boolean =>
  !/^[a-z0-9]+:/i.test(name) && existsSync(resolve(cwd, name))

/** What the lock is to say of it; nothing is written. */
export async function describeImage(request: LockRequest, caller: Caller): Promise<LockedImage> {
  const { key, trustFirstUse = false, signature = true } = request
  const path = resolve(caller.cwd, request.url)
  const ownFile = isOwnFile(request.url, caller)
  const url = ownFile
    ? pathToFileURL(path).href
    : addressOf(request.url, (await readLocks(request, caller)).images)
  const { lockImage: askPublisher } = await import('../catalog/lock-image.ts')
  const { openHttp } = await import('../fetch/http.ts')
  const { openPublisherHttp } = await import('../fetch/publisher-http.ts')
  // A person's own file is what it is: nobody else can say.
  const sha256 = request.sha256 ?? (ownFile ? await digestFile(path, caller.signal) : undefined)
  if (request.offline && !ownFile)
    throw new FetchError('locking asks the publisher, and --offline forbids that', { hint: OWN_FILE_HINT })
  const task = taskOf(caller)
  const http = openHttp({ env: caller.env })
  const image = await askPublisher(
    {
      url,
      lockFile: lockFileOf(request, caller),
      trustFirstUse,
      ownFile,
      skipSignature: !signature,
      key,
      sha256,
    },
    {
      http: openPublisherHttp(await cacheOf(request, caller), { http, offline: false }, task),
      today: caller.now().toISOString().slice(0, 10),
    },
    task,
  )
  if (ownFile) await warnOfOtherImage(image, request, caller)
  return image
}

/** A file may be called what another one is, whose digest somebody vouches for. */
async function warnOfOtherImage(
  { key, download: { sha256 } }: LockedImage,
  request: LockRequest,
  caller: Caller,
): Promise<void> {
  const pinned = (await readLocks(request, caller)).images.get(key)
  if (pinned === undefined || pinned.download.source.kind === 'user') return
  if ([pinned.download.sha256, pinned.extracted?.sha256].includes(sha256)) return
  const message = `${request.url} is not the ${key} that is pinned: its sha256 is ${sha256}, and ${pinned.download.sha256} was expected. It is taken as your own; if it should be the publisher's, download it again`
  caller.onEvent({ event: 'warning', message })
}

/** Write it into the cluster's own lock. */
export async function addImage(
  image: LockedImage,
  request: ClusterRequest,
  caller: Caller,
): Promise<LockedEntry> {
  const lockFile = lockFileOf(request, caller)
  const change = await whileFileLocked(lockFile, caller, async () => {
    // Read again: another piimage may have added to it meanwhile.
    const before = await readLockToWrite(request, caller)
    const isNew = !existsSync(lockFile)
    const { lock, change } = addToLock(before, image)
    if (change !== 'same') await writeFileAtomically(lockFile, formatLock(lock))
    if (isNew)
      for (const copied of before.images.keys())
        note(caller, `${copied}: copied from the lock that ships with piimage`)
    return change
  })
  return { key: image.key, change, image, lock: lockFile }
}

const lockFileOf = (request: ClusterRequest, caller: Pick<Caller, 'cwd'>): string =>
  request.lock === undefined
    ? join(clusterFolder(request, caller), LOCK_FILE)
    : resolve(caller.cwd, request.lock)

function readLockToWrite(request: ClusterRequest, caller: Pick<Caller, 'cwd'>): Promise<Lock> {
  const file = lockFileOf(request, caller)
  return existsSync(file) ? readLock(file) : startLock(file, request, caller)
}

/**
 * A new lock starts with those entries of the shipped one that the cluster file
 * names: a newer piimage may ship others.
 */
async function startLock(file: string, request: ClusterRequest, caller: Pick<Caller, 'cwd'>): Promise<Lock> {
  const shipped = await readLock(shippedLock())
  const cluster = resolve(caller.cwd, clusterPath(request))
  const text = existsSync(cluster) ? readInputText(cluster) : ''
  const named = [...shipped.images].filter(
    ([key, image]) => text.includes(key) && !image.url.startsWith('file:'),
  )
  return { file, images: new Map(named) }
}

export interface FetchRequest extends ClusterRequest {
  /** Keys of the lock; or all of the cluster's own lock, else of the one that ships with piimage. */
  images: readonly string[] | 'all'
}

/** Download and unpack into the cache. */
export async function fetchImages(request: FetchRequest, caller: Caller): Promise<{ fetched: string[] }> {
  const lock = await (request.images === 'all' ? readOwnLock : readLocks)(request, caller)
  if (request.images.length === 0)
    throw new UsageError('fetch needs an image', {
      hint: 'Name keys of the lock file (piimage images list), or --all',
    })
  const images =
    request.images === 'all'
      ? [...lock.images.values()]
      : request.images.map((name) => findImage(lock, newestNamed(lock.images, name) ?? name))
  const { fetchImage } = await import('../fetch/fetch-image.ts')
  const { openHttp } = await import('../fetch/http.ts')
  const { openBases } = await import('./image-pipeline.ts')
  const bases = await openBases(request, caller)
  const options = { http: openHttp({ env: caller.env }), offline: request.offline ?? false }
  try {
    for (const image of images) {
      const { key } = image
      if (image.format === 'tar.xz') {
        const path = await fetchImage(image, await cacheOf(request, caller), options, taskOf(caller))
        caller.onEvent({ event: 'fetched', key, path })
        continue
      }
      const { path, sha256, length: size } = await bases.open(image)
      caller.onEvent({ event: 'fetched', key, path, sha256, size })
    }
  } finally {
    await bases.close()
  }
  return { fetched: images.map(({ key }) => key) }
}

/** Hash everything in the cache. */
export async function verifyImages(
  request: ClusterRequest,
  caller: Caller,
): Promise<{ checked: number; damaged: number }> {
  const { images } = await readLocks(request, caller)
  const locked = new Map(
    [...images.values()].flatMap(({ download, extracted }) =>
      extracted === null ? [] : [[download.sha256, extracted.sha256] as const],
    ),
  )
  const checked = await verifyCache(await cacheOf(request, caller), taskOf(caller), locked)
  for (const file of checked) caller.onEvent({ event: 'checked', ...file })
  return { checked: checked.length, damaged: checked.filter(({ ok }) => !ok).length }
}

/** Remove what no lock entry names; or all of the cache. */
export async function pruneImages(
  request: ClusterRequest & { all?: boolean },
  caller: Caller,
): Promise<Pruned> {
  const lock = await readLocks(request, caller)
  const keep = new Set([...lock.images.values()].map((image) => image.download.sha256))
  const choice = request.all ? ({ everything: true } as const) : { keep }
  return pruneCache(await cacheOf(request, caller), choice, caller.signal)
}
