/**
 * images.lock.json: which bytes we trust, and who says so.
 *
 * The file is JSON in the shape of schema/images.lock.v1.json: a map of images
 * by key, each with the digest of the download and (once known) of the image in
 * it. Reading resolves relative `file:` URLs against the lock's folder; writing
 * gives back what was written, so a lock can move with its project.
 *
 * Not here: how a publisher is asked (./adapters/), and how bytes are fetched.
 */
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { PiimageError, UsageError } from '../errors.ts'
import { readInputText } from '../io/input-file.ts'
import { nearestNames } from '../nearest.ts'
import { checkLockText, LOCKFILE_VERSION } from './lock-check.ts'
import type { Lock, LockedImage, Part } from './locked-image.ts'

/**
 * @throws {UsageError} there is no such file, or a newer piimage made it
 * @throws {MistakesError} all that is wrong in it, by line and column
 */
export async function readLock(path: string): Promise<Lock> {
  let text: string
  try {
    text = readInputText(path)
  } catch (error) {
    if (error instanceof PiimageError) throw error
    throw new UsageError(`the lock file ${path} can't be read: ${(error as NodeJS.ErrnoException).code}`, {
      hint: 'Name another with --lock FILE, or start one: piimage images lock URL',
      cause: error,
    })
  }
  return parseLock(text, path)
}

/**
 * @param file where the text comes from: for messages, and for relative `file:` URLs
 * @throws {MistakesError | UsageError} as readLock
 */
export async function parseLock(text: string, file: string): Promise<Lock> {
  const json = await checkLockText(text.replace(/^\uFEFF/, ''), file)
  const images = new Map<string, LockedImage>()
  for (const [key, fields] of Object.entries(json.images)) {
    const given = { extracted: null, ...fields } as unknown as Omit<LockedImage, 'key'>
    images.set(key, { key, ...given, ...resolveAddresses(given.url, given.mirrors, file) })
  }
  return { file, schema: json.$schema, images }
}

/** Absolute addresses, with the written ones beside them where they differ. */
export function resolveAddresses(
  url: string,
  mirrors: string[] | undefined,
  lockFile: string,
): Pick<LockedImage, 'url' | 'mirrors' | 'written'> {
  const absolute = {
    url: resolveAddress(url, lockFile),
    mirrors: mirrors?.map((mirror) => resolveAddress(mirror, lockFile)),
  }
  const written = { url, mirrors }
  return isDeepStrictEqual(absolute, written) ? absolute : { ...absolute, written }
}

function resolveAddress(url: string, lockFile: string): string {
  if (!url.startsWith('file:') || url.startsWith('file:/')) return url
  const folder = `${pathToFileURL(resolve(dirname(lockFile))).href}/`
  return new URL(url.slice('file:'.length), folder).href
}

/**
 * The text of a lock: keys sorted, two spaces, a final newline, so that a diff
 * shows what changed and nothing else.
 */
export function formatLock(lock: Lock): string {
  const images: Record<string, unknown> = {}
  for (const key of [...lock.images.keys()].sort()) {
    const image = lock.images.get(key)
    if (image !== undefined) images[key] = imageJson(image)
  }
  const json = { $schema: lock.schema, lockfileVersion: LOCKFILE_VERSION, images }
  return `${JSON.stringify(json, null, 2)}\n`
}

/** The schema's order; JSON.stringify leaves out what is undefined. */
function imageJson(image: LockedImage): unknown {
  return {
    os: image.os,
    release: image.release,
    version: image.version,
    arch: image.arch,
    variant: image.variant,
    url: image.written?.url ?? image.url,
    mirrors: image.written?.mirrors ?? image.mirrors,
    format: image.format,
    member: image.member,
    download: partJson(image.download),
    extracted: image.extracted === null ? null : partJson(image.extracted),
  }
}

function partJson({ size, sha256, source }: Part): unknown {
  const { kind, url, detail, checked, signedBy } = source
  return { size, sha256, source: { kind, url, detail, checked, signedBy } }
}

/** Whether two entries say the same; the day they were checked doesn't count. */
export function sameImage(a: LockedImage, b: LockedImage): boolean {
  return JSON.stringify(withoutDates(a)) === JSON.stringify(withoutDates(b))
}

function withoutDates(image: LockedImage): unknown {
  const undated = (part: Part): Part => ({
    ...part,
    source: { ...part.source, checked: undefined } as Part['source'],
  })
  const { download, extracted } = image
  return [
    image.key,
    imageJson({ ...image, download: undated(download), extracted: extracted && undated(extracted) }),
  ]
}

/**
 * A lock with `image` in it. An entry that already says the same stays as it
 * is, its dates too.
 */
export function addToLock(
  lock: Lock,
  image: LockedImage,
): { lock: Lock; change: 'added' | 'changed' | 'same' } {
  const old = lock.images.get(image.key)
  if (old !== undefined && sameImage(old, image)) return { lock, change: 'same' }
  const images = new Map(lock.images).set(image.key, image)
  return { lock: { ...lock, images }, change: old === undefined ? 'added' : 'changed' }
}

/** @throws {UsageError} no such key; the hint names the nearest ones */
export function findImage(lock: Lock, key: string): LockedImage {
  const image = lock.images.get(key)
  if (image !== undefined) return image
  const near = nearestNames(key, lock.images.keys())
  throw new UsageError(`${lock.file} has no image ${JSON.stringify(key)}`, {
    hint: near.length > 0 ? `Did you mean ${near.join(' or ')}?` : 'See what it has: piimage images list',
  })
}
