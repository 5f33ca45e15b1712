/**
 * A locked image → its raw bytes: fetched, unpacked into the cache, opened.
 * Several nodes of one image share one base.
 *
 * `open` waits until all of it is there. `follow` gives a base that is still
 * growing: the unpacker appends to the cache's partial file, and cards read
 * behind it, each at its own pace. The first MiB of no card is written before
 * `verified` says that the whole chain held: the download's digest, then the
 * image's. If anything fails, all that wait on the base fail with it, and the
 * cache keeps nothing. The code that fetches and unpacks is loaded when it is
 * needed: an image in the cache needs neither.
 */
import { rm, stat } from 'node:fs/promises'
import type { ImageFormat, LockedImage } from '../catalog/locked-image.ts'
import { DigestError } from '../digest.ts'
import type { BlockReader } from '../disk/blocks.ts'
import { RangeFeed } from '../disk/range-feed.ts'
import { walkUsedRanges } from '../disk/used-ranges.ts'
import { FetchError, InterruptedError } from '../errors.ts'
import type { Cache, CachedImage } from '../fetch/cache.ts'
import { digestFile } from '../io/digest-file.ts'
import { openFileReader } from '../io/file-reader.ts'
import { type GrowingFile, openGrowingFile } from '../io/growing-file.ts'
import { Mark } from '../io/mark.ts'
import type { Task } from '../progress.ts'
import type { UnpackRequest } from '../unpack/unpack.ts'
import { type Caller, taskOf } from './caller.ts'
import { cacheOf } from './project.ts'
import type { ClusterRequest } from './request.ts'

export interface BaseImage {
  key: string
  /** Where the whole of it lies, or will lie. */
  path: string
  length: number
  sha256: string
  /** Reading waits for bytes that are still to come. */
  reader: BlockReader
  /** What its file systems use, as it becomes known. */
  used: RangeFeed
  /**
   * Whether the bytes that were read are those that the lock names: resolves
   * when the whole image was unpacked and its digest matched, or the cached
   * one was read and hashed, and no one changed it since. Nothing may become
   * bootable before. Later calls share the first one's answer.
   * @throws {DigestError}
   */
  verified(task: Task): Promise<void>
  close(): Promise<void>
}

export interface BaseImages {
  /** The whole image. The same BaseImage each time for the same key. */
  open(image: LockedImage): Promise<BaseImage>
  /** The image as far as it is there; its length and digest are those that the lock names. */
  follow(image: LockedImage): Promise<BaseImage>
  close(): Promise<void>
}

interface NetworkOptions {
  env: Caller['env']
  offline: boolean
}

/** From the cache and the network, as the request and this machine give them. */
export async function openBases(request: ClusterRequest, caller: Caller): Promise<BaseImages> {
  const cache = await cacheOf(request, caller)
  const options = { env: caller.env, offline: request.offline ?? false }
  const task = taskOf(caller)
  const opened = new Map<string, Promise<BaseImage>>()
  const once = (image: LockedImage, open: typeof openBase): Promise<BaseImage> => {
    const base = opened.get(image.key) ?? open(image, cache, options, task)
    opened.set(image.key, base)
    return base
  }
  return {
    open: (image) => once(image, openBase),
    follow: (image) => once(image, followBase),
    async close() {
      for (const base of await Promise.allSettled(opened.values())) {
        if (base.status === 'fulfilled') await base.value.close()
      }
    },
  }
}

async function openBase(
  image: LockedImage,
  cache: Cache,
  options: NetworkOptions,
  task: Task,
): Promise<BaseImage> {
  return openCached(image, await fetchAndUnpack(image, cache, options, task))
}

async function followBase(
  image: LockedImage,
  cache: Cache,
  options: NetworkOptions,
  task: Task,
): Promise<BaseImage> {
  const { extracted } = image
  if (extracted === null || extracted.size === null) return openBase(image, cache, options, task)
  const { size: length, sha256 } = extracted
  const stop = new AbortController()
  const unpackTask: Task = { ...task, signal: AbortSignal.any([task.signal, stop.signal]) }
  let begin = (_: GrowingFile): void => {}
  const begun = new Promise<GrowingFile>((resolve) => {
    begin = resolve
  })
  const unpacked = fetchAndUnpack(image, cache, options, unpackTask, (path) => {
    const file = openGrowingFile(path, length)
    begin(file)
    return file
  })
  const first = await Promise.race([begun, unpacked])
  if ('sha256' in first) return openCached(image, first)
  const whole = unpacked.then(() => {})
  whole.catch((error) => first.fail(error))
  return {
    key: image.key,
    path: cache.entry(image.download.sha256).image,
    length,
    sha256,
    reader: first,
    used: new RangeFeed(walkUsedRanges(first)),
    verified: () => whole,
    async close() {
      stop.abort(new InterruptedError('nobody needs the image any more'))
      await whole.catch(() => {})
      await first.close()
    },
  }
}

/** @param follow called with the path of the partial image when it is begun; not when the image is in the cache */
function fetchAndUnpack(
  image: LockedImage,
  cache: Cache,
  options: NetworkOptions,
  task: Task,
  follow: (partialPath: string) => GrowingFile | undefined = () => undefined,
): Promise<CachedImage> {
  if (image.format === 'tar.xz') {
    throw new FetchError(`${image.key} is an archive of files, not a disk image`, {
      hint: 'Cards need an .img; lock the image that lies beside the archive at its publisher',
    })
  }
  const build = async (target: string) => {
    const growing = follow(target)
    const { source, growing: coming, checked } = await startFetch(image, cache, options, task)
    // A wrong download ends the unpacking at once, and explains whatever the decoder ran into.
    const wrong = new AbortController()
    checked.catch((error) => wrong.abort(error))
    const { key: subject, member, extracted: expected } = image
    const onGrowth = (bytes: number) => growing?.grow(bytes)
    const { unpackFile } = await import('../unpack/unpack.ts')
    const unpacked = await unpackFile(
      { source, target, expected, subject, onGrowth, member, growing: coming },
      { ...task, signal: AbortSignal.any([task.signal, wrong.signal]) },
    ).catch(async (error) => {
      coming?.onOpened()
      await checked
      throw error
    })
    await checked
    await growing?.opened()
    return unpacked
  }
  // `verified` hashes all of what was there, while it is used.
  return cache.withImage(image, build, task, { recheck: false })
}

/** Formats that can be unpacked before their end is there. */
const FROM_THE_START: ReadonlySet<ImageFormat> = new Set<ImageFormat>(['xz', 'gz', 'zst', 'img'])

interface Fetching {
  /** The download, or what there is of it. */
  source: string
  /** Of a download that is still coming. */
  growing?: NonNullable<UnpackRequest['growing']>
  /** Resolves when its digest matched. */
  checked: Promise<string>
}

/**
 * The download as soon as there is something of it; the rest, and its digest,
 * come while it is being unpacked. Over a link as slow as most, unpacking and
 * writing then cost next to nothing beside the download.
 */
async function startFetch(
  image: LockedImage,
  cache: Cache,
  options: NetworkOptions,
  task: Task,
): Promise<Fetching> {
  const { fetchImage } = await import('../fetch/fetch-image.ts')
  const { openHttp } = await import('../fetch/http.ts')
  const mark = new Mark()
  const { size } = image.download
  let begin = (_: Omit<Fetching, 'checked'>): void => {}
  const begun = new Promise<Omit<Fetching, 'checked'>>((resolve) => {
    begin = resolve
  })
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const checked = fetchImage(
    image,
    cache,
    {
      http: openHttp({ env: options.env }),
      offline: options.offline,
      onHere: (source) => begin({ source }),
      async onGrowth(source, bytes) {
        mark.move(bytes)
        if (size === null || bytes === 0 || !FROM_THE_START.has(image.format)) return
        begin({ source, growing: { size, reach: (end) => mark.reach(end), onOpened: open } })
        // It gets another name when it is whole.
        await opened
      },
    },
    task,
  )
  checked.catch((error) => mark.fail(error))
  const whole = checked.then((source) => ({ source }))
  return { ...(await Promise.race([begun, whole])), checked }
}

async function openCached(image: LockedImage, { path, size, sha256 }: CachedImage): Promise<BaseImage> {
  const reader = await openFileReader(path)
  let check: Promise<void> | undefined
  return {
    key: image.key,
    path,
    length: size,
    sha256,
    reader,
    used: new RangeFeed(walkUsedRanges(reader)),
    verified(task) {
      check ??= checkDigest(path, image.key, sha256, task)
      return check
    },
    close: () => reader.close(),
  }
}

/** Another piimage that uses the same image touches it: then it is hashed again, this many times in all. */
const MOST_CHECKS = 3

async function checkDigest(path: string, key: string, expected: string, task: Task): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const before = await stat(path, { bigint: true })
    const actual = await digestFile(path, task.signal)
    const after = await stat(path, { bigint: true })
    if (actual === expected && before.ctimeNs === after.ctimeNs) return
    if (actual === expected && tries < MOST_CHECKS) continue
    // The next run unpacks it afresh.
    await rm(path, { force: true })
    throw new DigestError(`the unpacked image of ${key} in the cache`, expected, actual, {
      saidBy: 'the lock or the first unpacking',
      hint: 'It was damaged in the cache and is removed; run again to unpack it afresh',
    })
  }
}
