/** `piimage images`: the lock (what is trusted) and the cache (what is here). */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { addToLock, findImage, formatLock, readLock } from '../catalog/lock.ts'
import type { Lock, LockedImage } from '../catalog/locked-image.ts'
import { FetchError, UsageError } from '../errors.ts'
import { listCache, pruneCache, verifyCache } from '../fetch/cache-contents.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { packageRoot } from '../package-root.ts'
import type { Task } from '../progress.ts'
import { formatTable } from '../report/table.ts'
import { formatBytes } from '../units.ts'
import { whileFileLocked } from '../work/file-lock.ts'
import { cacheOf, lockPath } from '../work/project.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'

interface ImagesArgs {
  action: string
  image: string[]
  key?: string
  sha256?: string
  'trust-first-use': boolean
  signature: boolean
  all: boolean
}

type Action = (args: GlobalArgs & ImagesArgs, context: Context) => Promise<object | undefined>

export const imagesCommand = defineCommand<ImagesArgs>({
  command: 'images [action] [image..]',
  describe: 'The pinned images and the cache: list, lock, fetch, verify, prune',
  builder: (cli) =>
    cli
      .positional('action', { choices: Object.keys(actions), default: 'list', describe: 'What to do' })
      .positional('image', {
        type: 'string',
        array: true,
        default: [],
        describe: 'Keys of the lock file; for `lock`: the URL',
      })
      .option('key', {
        type: 'string',
        nargs: 1,
        describe: 'lock: name of the entry (default: from the URL)',
      })
      .option('sha256', { type: 'string', nargs: 1, describe: 'lock: digest, when the publisher gives none' })
      .option('trust-first-use', {
        type: 'boolean',
        default: false,
        describe: 'lock: take what is served now as right',
      })
      .option('signature', {
        type: 'boolean',
        default: true,
        describe: "lock: check the publisher's signature (--no-signature spares the download)",
      })
      .option('all', {
        type: 'boolean',
        default: false,
        describe: 'fetch: every image; prune: all of the cache',
      })
      .example('$0 images lock URL', 'Ask the publisher, and write images.lock.json')
      .example('$0 images prune', 'Remove what no lock entry names'),
  run: async (args, context) => (actions[args.action] ?? list)(args, context),
})

const taskOf = ({ output, world }: Context): Task => ({ report: output.progress, signal: world.signal })

const list: Action = async (args, context) => {
  const { output } = context
  const lock = await readLock(lockPath(args, context.world))
  const cached = new Map((await listCache(await cacheOf(args, context))).map((entry) => [entry.id, entry]))
  const rows = [...lock.images.values()].map((image) => {
    const here = cached.get(image.download.sha256)
    const state = here?.imageBytes ? 'unpacked' : here?.downloadBytes ? 'downloaded' : ''
    output.event('image', { ...image, cached: state || null })
    const { size, source } = image.download
    return [image.key, size === null ? '' : formatBytes(size), source.kind, state]
  })
  output.printText(formatTable(['IMAGE', 'DOWNLOAD', 'SAYS WHO', 'CACHED'], rows))
  output.note(`from ${lock.file}`)
  return { lock: lock.file, images: rows.length }
}

const lockOne: Action = async (args, context) => {
  const [url, ...more] = args.image
  if (url === undefined || more.length > 0) {
    throw new UsageError('lock takes one URL', { hint: 'piimage images lock https://…/image.img.xz' })
  }
  const { world, output } = context
  const { lockImage } = await import('../catalog/lock-image.ts')
  const { openHttp } = await import('../fetch/http.ts')
  const { openPublisherHttp } = await import('../fetch/publisher-http.ts')
  // Never the lock that ships with piimage: this one is the person's own.
  const lockFile = resolve(
    world.cwd,
    args.lock ?? join(dirname(resolve(world.cwd, args.cluster)), 'images.lock.json'),
  )
  const readBefore = () => (existsSync(lockFile) ? readLock(lockFile) : startLock(lockFile, args, context))
  // What is wrong with it is known before anything is downloaded.
  await readBefore()
  const cache = await cacheOf(args, context)
  const http = openHttp({ env: world.env })
  const task = taskOf(context)
  if (args.offline) throw new FetchError('locking asks the publisher, and --offline forbids that')
  const image = await lockImage(
    {
      url,
      lockFile,
      trustFirstUse: args['trust-first-use'],
      skipSignature: !args.signature,
      key: args.key,
      sha256: args.sha256,
    },
    {
      http: openPublisherHttp(cache, { http, offline: false }, task),
      today: world.now().toISOString().slice(0, 10),
    },
    task,
  )
  const change = await whileFileLocked(lockFile, context, async () => {
    // Read again: another piimage may have added to it meanwhile.
    const { lock, change } = addToLock(await readBefore(), image)
    if (change !== 'same') await writeFileAtomically(lockFile, formatLock(lock))
    return change
  })
  const { sha256, source } = image.download
  output.print(`${image.key}: ${change}; sha256 ${sha256}, says ${source.kind}`)
  output.note(`in ${lockFile}`)
  return { key: image.key, change, image, lock: lockFile }
}

/**
 * A new lock hides the one that ships with piimage, so it starts with those of
 * its entries that the cluster file names.
 */
async function startLock(file: string, args: GlobalArgs, { world, output }: Context): Promise<Lock> {
  const shipped = await readLock(join(packageRoot(), 'images.lock.json'))
  const text = await readFile(resolve(world.cwd, args.cluster), 'utf8').catch(() => '')
  const named = [...shipped.images].filter(
    ([key, image]) => text.includes(key) && !image.url.startsWith('file:'),
  )
  for (const [key] of named) output.note(`${key}: copied from the lock that ships with piimage`)
  return { file, images: new Map(named) }
}

const chosenImages = async (args: GlobalArgs & ImagesArgs, context: Context): Promise<LockedImage[]> => {
  const lock = await readLock(lockPath(args, context.world))
  if (args.all) return [...lock.images.values()]
  if (args.image.length === 0) {
    throw new UsageError(`${args.action} needs an image`, {
      hint: 'Name keys of the lock file (piimage images list), or --all',
    })
  }
  return args.image.map((key) => findImage(lock, key))
}

const fetchChosen: Action = async (args, context) => {
  const images = await chosenImages(args, context)
  const { output, world } = context
  const { fetchImage } = await import('../fetch/fetch-image.ts')
  const { openHttp } = await import('../fetch/http.ts')
  const { openBases } = await import('../work/base-image.ts')
  const bases = await openBases(args, context)
  const http = openHttp({ env: world.env })
  try {
    for (const image of images) {
      if (image.format === 'tar.xz') {
        const path = await fetchImage(
          image,
          await cacheOf(args, context),
          { http, offline: args.offline },
          taskOf(context),
        )
        output.print(`${image.key}: ${path}`)
        continue
      }
      const { path, sha256, length } = await bases.open(image)
      output.event('fetched', { key: image.key, path, sha256, size: length })
      output.print(`${image.key}: ${formatBytes(length)}, sha256 ${sha256}`)
    }
  } finally {
    await bases.close()
  }
  return { fetched: images.map((image) => image.key) }
}

const verify: Action = async (args, context) => {
  const { output, world } = context
  const { images } = await readLock(lockPath(args, world))
  const locked = new Map(
    [...images.values()].flatMap(({ download, extracted }) =>
      extracted === null ? [] : [[download.sha256, extracted.sha256] as const],
    ),
  )
  const checked = await verifyCache(await cacheOf(args, context), taskOf(context), locked)
  const damaged = checked.filter(({ ok }) => !ok)
  for (const file of checked) output.event('checked', file)
  for (const { path, expected, actual } of damaged)
    output.print(
      expected === null
        ? `${path}: neither the lock nor a record of yours says what it should hold; it is unpacked again when it is next used`
        : `${path}: sha256 is ${actual}, not ${expected}`,
    )
  output.print(`${checked.length} files checked, ${damaged.length} damaged`)
  if (damaged.length === 0) return { checked: checked.length }
  throw new FetchError(`${damaged.length} of ${checked.length} files in the cache are damaged`, {
    hint: 'piimage images prune --all empties the cache; everything in it can be fetched again',
  })
}

const prune: Action = async (args, context) => {
  const { output, world } = context
  const lock = await readLock(lockPath(args, world))
  const keep = new Set([...lock.images.values()].map((image) => image.download.sha256))
  const choice = args.all ? ({ everything: true } as const) : { keep }
  const pruned = await pruneCache(await cacheOf(args, context), choice, world.signal)
  output.print(`${pruned.removed.length} images removed, ${formatBytes(pruned.freedBytes)} freed`)
  for (const id of pruned.busy) output.note(`${id} is in use by another process, left alone`)
  return { ...pruned }
}

const actions: Record<string, Action> = { list, lock: lockOne, fetch: fetchChosen, verify, prune }
