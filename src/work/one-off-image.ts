/** The image of a node without a cluster file: a key of the lock, a file here, or an address. */
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { findImage } from '../catalog/lock.ts'
import { lockImage } from '../catalog/lock-image.ts'
import type { Lock, LockedImage } from '../catalog/locked-image.ts'
import { parseImageName } from '../catalog/names.ts'
import { newestNamed } from '../catalog/short-names.ts'
import { sha256 as digestOf } from '../digest.ts'
import { FetchError, UsageError } from '../errors.ts'
import { openHttp } from '../fetch/http.ts'
import { openPublisherHttp } from '../fetch/publisher-http.ts'
import { SNIFF_BYTES, sniff } from '../unpack/sniff.ts'
import { type Caller, note, taskOf } from './caller.ts'
import { cacheOf } from './project.ts'
import type { ClusterRequest, OneOff } from './request.ts'

/**
 * @throws {UsageError} it is none of the three, or an address nobody gives a digest for
 * @throws {FetchError} it can't be had
 */
export async function findOneOffImage(
  oneOff: Pick<OneOff, 'image' | 'sha256' | 'trustFirstUse'>,
  lock: Lock,
  request: ClusterRequest,
  caller: Caller,
): Promise<LockedImage> {
  const { image } = oneOff
  if (image === undefined)
    throw new UsageError('which image?', { hint: 'Give it: --image KEY, FILE or URL (piimage images list)' })
  const known = lock.images.get(image)
  if (known !== undefined) return known
  if (/^https?:\/\//.test(image)) return lockAddress(image, oneOff, lock, request, caller)
  if (/^[a-z0-9]+:\/\//i.test(image))
    throw new UsageError(`${image.split(':', 1)[0]}: addresses are not understood`, {
      hint: 'Use an https: address (S3 can sign one), or download the file and name it.',
    })
  const path = resolve(caller.cwd, image)
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return lockFile(path, oneOff, caller)
  const newest = newestNamed(lock.images, image)
  if (newest !== undefined || image.includes('@')) return findImage(lock, newest ?? image)
  throw new UsageError(`there is no image ${image}: no key of the lock, no file, no address`, {
    hint: 'piimage images list shows the keys.',
  })
}

async function lockAddress(
  url: string,
  { sha256, trustFirstUse = false }: Pick<OneOff, 'sha256' | 'trustFirstUse'>,
  lock: Lock,
  request: ClusterRequest,
  caller: Caller,
): Promise<LockedImage> {
  if (request.offline) throw new FetchError(`${url} must be asked, and --offline forbids it`)
  const task = taskOf(caller)
  const http = openPublisherHttp(
    await cacheOf(request, caller),
    { http: openHttp({ env: caller.env }), offline: false },
    task,
  )
  const key = parseImageName(url) === undefined ? keyOf(url, digestOf(url)) : undefined
  const image = await lockImage(
    { url, lockFile: lock.file, trustFirstUse, skipSignature: true, sha256, key },
    { http, today: caller.now().toISOString().slice(0, 10) },
    task,
  )
  const { source } = image.download
  note(caller, `${url}: sha256 ${image.download.sha256}, says ${source.kind}; not in any lock`)
  return image
}

/** A file of the person's own is what it is: its digest is taken now, and holds for this run. */
async function lockFile(path: string, said: Pick<OneOff, 'sha256'>, caller: Caller): Promise<LockedImage> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    caller.signal.throwIfAborted()
    hash.update(chunk as Buffer)
  }
  const sha256 = hash.digest('hex')
  if (said.sha256 !== undefined && said.sha256.toLowerCase() !== sha256)
    throw new FetchError(`${path} has the sha256 ${sha256}, not ${said.sha256}`, {
      hint: 'It is damaged, or another file than you think.',
    })
  const kind = said.sha256 === undefined ? 'computed' : 'user'
  note(
    caller,
    `${path}: sha256 ${sha256}, ${kind === 'user' ? 'as you say' : 'computed now; nobody vouches for it'}`,
  )
  const named = parseImageName(path) ?? {
    os: 'file',
    release: null,
    version: sha256.slice(0, 12),
    arch: archOf(path),
    variant: 'file',
  }
  return {
    ...named,
    key: keyOf(path, sha256),
    url: pathToFileURL(path).href,
    format: await formatOf(path),
    download: { size: statSync(path).size, sha256, source: { kind } },
    extracted: null,
  }
}

async function formatOf(path: string): Promise<LockedImage['format']> {
  const handle = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0)
    return sniff(buffer.subarray(0, bytesRead), path)
  } finally {
    await handle.close()
  }
}

/** Only a name says it before the image is open; nearly all that don't say so are 32-bit. */
const archOf = (name: string): LockedImage['arch'] =>
  /arm64|aarch64|rpi64|armv8/i.test(basename(name)) ? 'arm64' : 'armhf'

const keyOf = (name: string, digest: string): string => `file-${archOf(name)}-given@${digest.slice(0, 12)}`
