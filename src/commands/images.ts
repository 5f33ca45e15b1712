/** `piimage images`: the lock and the cache, in words. */
import { FetchError, UsageError } from '../errors.ts'
import { formatTable } from '../report/table.ts'
import { formatBytes } from '../units.ts'
import { fetchImages, listImages, lockImage, pruneImages, verifyImages } from '../work/images.ts'
import { callerOf, common } from './caller.ts'
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

type Action = (args: GlobalArgs & ImagesArgs, context: Context) => Promise<object>

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
        describe: 'Names of images; for `lock` also an address or a file',
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
      .example('$0 images lock raspios-trixie-arm64-lite', 'Ask the publisher, and write images.lock.json')
      .example('$0 images prune', 'Remove what no lock entry names'),
  run: async (args, context) => (actions[args.action] ?? list)(args, context),
})

const list: Action = async (args, context) => {
  const { lock, images } = await listImages(common(args), callerOf(args, context))
  const rows = images.map(({ key, url, newest, download: { size, source }, cached }) => [
    key,
    newest ? 'newest' : '',
    size === null ? '' : formatBytes(size),
    url.startsWith('file:') ? 'a file here' : new URL(url).host,
    source.kind,
    cached ?? '',
  ])
  context.output.printText(formatTable(['IMAGE', '', 'DOWNLOAD', 'FROM', 'VERIFIED BY', 'CACHED'], rows))
  context.output.note(`from ${lock}`)
  return { lock, images: rows.length }
}

const lock: Action = async (args, context) => {
  const [url, ...more] = args.image
  if (url === undefined || more.length > 0)
    throw new UsageError('lock takes one image', {
      hint: 'piimage images lock raspios-trixie-arm64-lite, or https://…/image.img.xz',
    })
  const { key, sha256, 'trust-first-use': trustFirstUse, signature } = args
  const request = { ...common(args), url, key, sha256, trustFirstUse, signature }
  const locked = await lockImage(request, callerOf(args, context))
  const { download } = locked.image
  context.output.print(
    `${locked.key}: ${locked.change}; sha256 ${download.sha256}, verified by: ${download.source.kind}`,
  )
  context.output.note(`in ${locked.lock}`)
  context.output.note(`To use it, write into the cluster file:  image: ${locked.key}`)
  return locked
}

const fetch: Action = (args, context) =>
  fetchImages(
    { ...common(args), images: args.all ? 'all' : args.image },
    callerOf(args, context, {
      fetched: ({ key, path, size, sha256 }) =>
        context.output.print(
          `${key}: ${size === undefined ? path : `${formatBytes(size)}, sha256 ${sha256}`}`,
        ),
    }),
  )

const verify: Action = async (args, context) => {
  const { output } = context
  const caller = callerOf(args, context, {
    checked: ({ ok, path, expected, actual }) =>
      ok ||
      output.print(
        expected === null
          ? `${path}: neither the lock nor a record of yours says what it should hold; it is unpacked again when it is next used`
          : `${path}: sha256 is ${actual}, not ${expected}`,
      ),
  })
  const { checked, damaged } = await verifyImages(common(args), caller)
  output.print(`${checked} files checked, ${damaged} damaged`)
  if (damaged === 0) return { checked }
  throw new FetchError(`${damaged} of ${checked} files in the cache are damaged`, {
    hint: 'piimage images prune --all empties the cache; everything in it can be fetched again',
  })
}

const prune: Action = async (args, context) => {
  const pruned = await pruneImages({ ...common(args), all: args.all }, callerOf(args, context))
  context.output.print(`${pruned.removed.length} images removed, ${formatBytes(pruned.freedBytes)} freed`)
  for (const id of pruned.busy) context.output.note(`${id} is in use by another process, left alone`)
  return { ...pruned }
}

const actions: Record<string, Action> = { list, lock, fetch, verify, prune }
