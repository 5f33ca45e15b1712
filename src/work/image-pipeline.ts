/**
 * A locked image → its raw bytes, for any number of cards at once:
 *
 *   publisher, mirror or file    as far as it is there           (../fetch/fetch-image.ts)
 *     → digest                   of the file as published, beside the rest
 *     → decompressor             while the file still comes      (../unpack/unpack.ts)
 *     → digest                   of the image
 *     → image                    in the cache, under its name once both digests matched
 *     → cards                    each reads behind the decompressor, at its own pace
 *
 * `open` waits until all of it is there, `follow` doesn't: the first MiB of no
 * card is written before `verified` says that both digests held. If anything
 * fails, all that wait on the image fail with it, and the cache keeps nothing.
 * Code that fetches and unpacks is loaded when it is needed: an image in the
 * cache needs neither.
 */
import { existsSync } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import type { LockedImage } from '../catalog/locked-image.ts'
import { DigestError } from '../digest.ts'
import type { BlockReader } from '../disk/blocks.ts'
import { RangeFeed } from '../disk/range-feed.ts'
import { walkUsedRanges } from '../disk/used-ranges.ts'
import { FetchError, InterruptedError } from '../errors.ts'
import type { Cache, CachedImage, ImageClaim } from '../fetch/cache.ts'
import type { Fetching } from '../fetch/fetch-image.ts'
import { digestFile } from '../io/digest-file.ts'
import { openFileReader } from '../io/file-reader.ts'
import { openGrowingFile } from '../io/growing-file.ts'
import type { Task } from '../progress.ts'
import { type Caller, taskOf } from './caller.ts'
import { cacheOf } from './project.ts'
import type { ClusterRequest } from './request.ts'

export interface BaseImage {
  key: string
  /** Where the whole of it lies, or will lie. */
  path: string
  length: number
  sha256: string
  /** Whether all of it was there when it was opened. */
  whole: boolean
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

/** Several nodes of one image share one base: the same each time for the same key. */
export interface BaseImages {
  /** The whole image. */
  open(image: LockedImage): Promise<BaseImage>
  /** The image as far as it is there; its length and digest are those that the lock names. */
  follow(image: LockedImage): Promise<BaseImage>
  /** Whether it is in the cache. */
  isHere(image: LockedImage): boolean
  close(): Promise<void>
}

/** Where images come from, and where they are kept. */
interface Sources {
  cache: Cache
  env: Caller['env']
  offline: boolean
}

export async function openBases(request: ClusterRequest, caller: Caller): Promise<BaseImages> {
  const cache = await cacheOf(request, caller)
  const sources = { cache, env: caller.env, offline: request.offline ?? false }
  const task = taskOf(caller)
  const opened = new Map<string, Promise<BaseImage>>()
  const once = (image: LockedImage, open: typeof openImage): Promise<BaseImage> => {
    const base = opened.get(image.key) ?? open(image, sources, task)
    opened.set(image.key, base)
    return base
  }
  return {
    open: (image) => once(image, openImage),
    follow: (image) => once(image, followImage),
    isHere: (image) => existsSync(cache.entry(image.download.sha256).image),
    async close() {
      for (const base of await Promise.allSettled(opened.values()))
        if (base.status === 'fulfilled') await base.value.close()
    },
  }
}

/** The whole image. */
async function openImage(image: LockedImage, sources: Sources, task: Task): Promise<BaseImage> {
  const claim = await claimImage(image, sources, task)
  return openCached(image, 'keep' in claim ? await makeImage(image, claim, sources, () => {}, task) : claim)
}

/** The image while it is made. */
async function followImage(image: LockedImage, sources: Sources, task: Task): Promise<BaseImage> {
  const { key, extracted } = image
  if (extracted === null || extracted.size === null) return openImage(image, sources, task)
  const claim = await claimImage(image, sources, task)
  if (!('keep' in claim)) return openCached(image, claim)
  const reader = await openGrowingFile(claim.partial, extracted.size)
  const left = new AbortController()
  const signal = AbortSignal.any([task.signal, left.signal])
  const whole = makeImage(image, claim, sources, reader.grow, { ...task, signal }).then(() => {})
  whole.catch(reader.fail)
  return {
    key,
    path: sources.cache.entry(image.download.sha256).image,
    length: extracted.size,
    sha256: extracted.sha256,
    reader,
    whole: false,
    used: new RangeFeed(walkUsedRanges(reader)),
    verified: () => whole,
    async close() {
      left.abort(new InterruptedError('the image is not needed any more'))
      await whole.catch(() => {})
      await reader.close()
    },
  }
}

/** The image if it is in the cache, else the right to make it. */
function claimImage(image: LockedImage, { cache }: Sources, task: Task): Promise<CachedImage | ImageClaim> {
  if (image.format === 'tar.xz') {
    throw new FetchError(`${image.key} is an archive of files, not a disk image`, {
      hint: 'Cards need an .img; lock the image that lies beside the archive at its publisher',
    })
  }
  // `verified` hashes all of what was there, while it is used.
  return cache.claimImage(image, task, { recheck: false })
}

/**
 * Source → digest → decompressor → digest → image in the cache.
 * @param onGrowth told how many bytes of the image can be read
 */
async function makeImage(
  image: LockedImage,
  claim: ImageClaim,
  sources: Sources,
  onGrowth: (bytes: number) => void,
  task: Task,
): Promise<CachedImage> {
  try {
    const fetching = await startFetching(image, sources, task)
    // A wrong download ends the unpacking at once.
    const wrong = new AbortController()
    fetching.checked.catch((error) => wrong.abort(error))
    const signal = AbortSignal.any([task.signal, wrong.signal])
    const unpacked = await unpack(image, fetching, claim.partial, onGrowth, { ...task, signal }).catch(
      async (error) => {
        // It also explains whatever the decompressor ran into.
        await fetching.checked
        throw error
      },
    )
    await fetching.checked
    return await claim.keep(unpacked)
  } catch (error) {
    await claim.drop()
    throw error
  }
}

async function startFetching(
  image: LockedImage,
  { cache, ...sources }: Sources,
  task: Task,
): Promise<Fetching> {
  const { startFetch } = await import('../fetch/fetch-image.ts')
  const { openHttp } = await import('../fetch/http.ts')
  return startFetch(image, cache, { http: openHttp({ env: sources.env }), offline: sources.offline }, task)
}

/** Formats that can be unpacked before their end is there. */
const FROM_THE_START: ReadonlySet<LockedImage['format']> = new Set<LockedImage['format']>([
  'xz',
  'gz',
  'zst',
  'img',
])

/** Decompressor and digest: as the file comes, where its format allows that. */
async function unpack(
  { key: subject, format, member, extracted: expected }: LockedImage,
  { here, arriving, checked }: Fetching,
  target: string,
  onGrowth: (bytes: number) => void,
  task: Task,
) {
  const { unpackFile } = await import('../unpack/unpack.ts')
  const growing = FROM_THE_START.has(format) ? arriving : undefined
  try {
    // What is here already is unpacked while it is hashed.
    const source = here ?? growing?.path ?? (await checked)
    return await unpackFile({ source, target, expected, subject, onGrowth, member, growing }, task)
  } finally {
    await arriving?.handle.close()
  }
}

async function openCached(image: LockedImage, { path, size, sha256 }: CachedImage): Promise<BaseImage> {
  const reader = await openFileReader(path)
  let check: Promise<void> | undefined
  return {
    key: image.key,
    path,
    length: size,
    sha256,
    whole: true,
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
