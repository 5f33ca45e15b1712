/** `--image` of a node without a cluster file: a key of the lock, a file here, or an address. */
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { findImage } from '../catalog/lock.ts'
import { lockImage } from '../catalog/lock-image.ts'
import type { Lock, LockedImage } from '../catalog/locked-image.ts'
import { parseImageName } from '../catalog/names.ts'
import type { Context, GlobalArgs } from '../commands/command.ts'
import { sha256 } from '../digest.ts'
import { FetchError, UsageError } from '../errors.ts'
import { openHttp } from '../fetch/http.ts'
import { openPublisherHttp } from '../fetch/publisher-http.ts'
import type { Task } from '../progress.ts'
import { SNIFF_BYTES, sniff } from '../unpack/sniff.ts'
import { cacheOf } from './project.ts'

interface ImageArgs {
  image?: string
  sha256?: string
  'trust-first-use': boolean
}

/**
 * @throws {UsageError} it is none of the three, or an address nobody gives a digest for
 * @throws {FetchError} it can't be had
 */
export async function findOneOffImage(
  args: GlobalArgs & ImageArgs,
  lock: Lock,
  context: Context,
): Promise<LockedImage> {
  const { image } = args
  if (image === undefined)
    throw new UsageError('which image?', { hint: 'Give it: --image KEY, FILE or URL (piimage images list)' })
  const known = lock.images.get(image)
  if (known !== undefined) return known
  if (/^https?:\/\//.test(image)) return lockAddress(image, args, lock, context)
  if (/^[a-z0-9]+:\/\//i.test(image))
    throw new UsageError(`${image.split(':', 1)[0]}: addresses are not understood`, {
      hint: 'Use an https: address (S3 can sign one), or download the file and name it.',
    })
  const path = resolve(context.world.cwd, image)
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return lockFile(path, args, context)
  if (image.includes('@')) return findImage(lock, image)
  throw new UsageError(`there is no image ${image}: no key of the lock, no file, no address`, {
    hint: 'piimage images list shows the keys.',
  })
}

async function lockAddress(
  url: string,
  args: GlobalArgs & ImageArgs,
  lock: Lock,
  context: Context,
): Promise<LockedImage> {
  const { world, output } = context
  if (args.offline) throw new FetchError(`${url} must be asked, and --offline forbids it`)
  const task: Task = { report: output.progress, signal: world.signal }
  const http = openPublisherHttp(
    await cacheOf(args, context),
    { http: openHttp({ env: world.env }), offline: false },
    task,
  )
  const image = await lockImage(
    {
      url,
      lockFile: lock.file,
      trustFirstUse: args['trust-first-use'],
      skipSignature: true,
      sha256: args.sha256,
      key: parseImageName(url) === undefined ? keyOf(url, digestOf(url)) : undefined,
    },
    { http, today: world.now().toISOString().slice(0, 10) },
    task,
  )
  output.note(`${url}: sha256 ${image.download.sha256}, says ${image.download.source.kind}; not in any lock`)
  return image
}

/** A file of the person's own is what it is: its digest is taken now, and holds for this run. */
async function lockFile(path: string, args: ImageArgs, { output, world }: Context): Promise<LockedImage> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    world.signal.throwIfAborted()
    hash.update(chunk as Buffer)
  }
  const sha256 = hash.digest('hex')
  if (args.sha256 !== undefined && args.sha256.toLowerCase() !== sha256)
    throw new FetchError(`${path} has the sha256 ${sha256}, not ${args.sha256}`, {
      hint: 'It is damaged, or another file than you think.',
    })
  const kind = args.sha256 === undefined ? 'computed' : 'user'
  output.note(
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

const digestOf = (text: string): string => sha256(text)
