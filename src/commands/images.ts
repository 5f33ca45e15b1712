/** `piimage images`: the lock (what is trusted) and the cache (what is here). */
import { resolve } from 'node:path'
import { addToLock, findImage, readLock, writeLock } from '../catalog/lock.ts'
import { lockImage } from '../catalog/lock-image.ts'
import { UsageError } from '../errors.ts'
import { fetchImage } from '../fetch/cache.ts'
import type { Task } from '../progress.ts'
import { formatTable } from '../report/table.ts'
import { formatBytes } from '../units.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'
import { baseImages } from './support/base-image.ts'
import { cacheOf, lockPath } from './support/project.ts'

interface ImagesArgs {
  action: string
  image: string[]
  key?: string
  sha256?: string
  'trust-first-use': boolean
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
        describe: 'lock: name for the entry (default: from the file name)',
      })
      .option('sha256', {
        type: 'string',
        nargs: 1,
        describe: 'lock: digest of the download, when the publisher gives none',
      })
      .option('trust-first-use', {
        type: 'boolean',
        default: false,
        describe: 'lock: take whatever is served now as right',
      })
      .option('all', {
        type: 'boolean',
        default: false,
        describe: 'fetch, verify: every image; prune: the whole cache',
      })
      .example('$0 images lock URL', 'Ask the publisher, and write images.lock.json')
      .example('$0 images prune', 'Remove what no lock entry names'),
  run: async (args, context) => (actions[args.action] ?? list)(args, context),
})

const taskOf = ({ output, world }: Context): Task => ({ report: output.progress, signal: world.signal })

const list: Action = async (args, context) => {
  const { output } = context
  const lock = await readLock(lockPath(args, context.world))
  const cache = await cacheOf(args, context)
  const rows: string[][] = []
  for (const image of lock.images.values()) {
    const cached = await cache.stateOf(image)
    output.event('image', { ...image, cached })
    const { size, source } = image.download
    rows.push([image.key, size === null ? '' : formatBytes(size), source.kind, cached])
  }
  output.print(formatTable(['IMAGE', 'DOWNLOAD', 'SAYS WHO', 'CACHED'], rows))
  return { lock: lock.file, images: rows.length }
}

const lockAction: Action = async (args, context) => {
  const [url, ...more] = args.image
  if (url === undefined || more.length > 0) {
    throw new UsageError('lock takes one URL', { hint: 'piimage images lock https://…/image.img.xz' })
  }
  const file =
    args.lock === undefined
      ? resolve(context.world.cwd, args.cluster, '..', 'images.lock.json')
      : lockPath(args, context.world)
  const image = await lockImage(
    { url, key: args.key, sha256: args.sha256, trustFirstUse: args['trust-first-use'] },
    {
      env: context.world.env,
      today: context.world.now().toISOString().slice(0, 10),
      cache: await cacheOf(args, context),
    },
    taskOf(context),
  )
  await writeLock(await addToLock(file, image))
  context.output.print(
    `${image.key}: sha256 ${image.download.sha256}, says ${image.download.source.kind}; written to ${file}`,
  )
  return { image, lock: file }
}

const chosenImages = async (args: GlobalArgs & ImagesArgs, context: Context) => {
  const lock = await readLock(lockPath(args, context.world))
  if (args.all) return [...lock.images.values()]
  if (args.image.length === 0) {
    throw new UsageError(`${args.action} needs an image`, {
      hint: 'Name keys of the lock file (piimage images list), or --all',
    })
  }
  return args.image.map((key) => findImage(lock, key))
}

const fetchAction: Action = async (args, context) => {
  const images = await chosenImages(args, context)
  const task = taskOf(context)
  const cache = await cacheOf(args, context)
  const bases = baseImages(cache, { offline: args.offline, env: context.world.env }, task)
  try {
    for (const image of images) {
      if (image.format === 'tar.xz') {
        await fetchImage(image, cache, { offline: args.offline, env: context.world.env }, task)
        continue
      }
      const { path, sha256, length } = await bases.open(image)
      context.output.event('fetched', { key: image.key, path, sha256, size: length })
      context.output.print(`${image.key}: ${formatBytes(length)}, sha256 ${sha256}`)
    }
  } finally {
    await bases.close()
  }
  return { fetched: images.map((image) => image.key) }
}

const verify: Action = async (args, context) => {
  const cache = await cacheOf(args, context)
  const bad = await cache.verify(taskOf(context))
  for (const entry of bad.damaged)
    context.output.warn(`${entry} does not have the digest it is named by; removed`)
  context.output.print(`${bad.checked} files checked, ${bad.damaged.length} damaged`)
  return { ...bad }
}

const prune: Action = async (args, context) => {
  const lock = await readLock(lockPath(args, context.world))
  const cache = await cacheOf(args, context)
  const pruned = await cache.prune(args.all ? [] : [...lock.images.values()])
  context.output.print(`${pruned.removed.length} files removed, ${formatBytes(pruned.bytes)} freed`)
  return { ...pruned }
}

const actions: Record<string, Action> = { list, lock: lockAction, fetch: fetchAction, verify, prune }
