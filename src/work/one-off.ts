/**
 * A node without a cluster file: flags → a cluster of one, judged by the same
 * rules as a file, so that everything after it is the same work.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Argv } from 'yargs'
import { readLock } from '../catalog/lock.ts'
import type { Lock, LockedImage } from '../catalog/locked-image.ts'
import { DEFAULT_MODEL, type Model } from '../cluster/boards.ts'
import { parseCluster, type ReadOptions, readLocalFile } from '../cluster/cluster-file.ts'
import type { Cluster } from '../cluster/node.ts'
import type { Context, GlobalArgs } from '../commands/command.ts'
import { OS_FLAG } from '../commands/os-flag.ts'
import { readOverlays } from '../customise/overlay.ts'
import { sha256 as digestOf } from '../digest.ts'
import { UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { packageRoot } from '../package-root.ts'
import { ClusterKey } from '../secrets/cluster-key.ts'
import { nodeKeys } from '../secrets/node-keys.ts'
import { type ExtraArgs, extraFlags, readExtraArgs } from './extra-files.ts'
import { lockPath, openProject, type Project, withOs } from './project.ts'

/** What says that there is no cluster file. Every name is a flag. */
export interface OneOffArgs extends ExtraArgs {
  os?: string
  image?: string
  hostname?: string
  model?: string
  user?: string
  'ssh-key'?: string[]
  ssid?: string
  'wifi-passphrase-file'?: string
  'wifi-country'?: string
  sha256?: string
  'trust-first-use': boolean
}

const ONLY_ONE_OFF = [
  'image',
  'hostname',
  'model',
  'user',
  'ssh-key',
  'ssid',
  'wifi-passphrase-file',
  'wifi-country',
  'sha256',
] as const

/** In place of the path of a pass phrase that is asked for. */
const ASKED = 'the pass phrase that was asked for'

export function oneOffFlags<T>(cli: Argv<T>): Argv<T & OneOffArgs> {
  return extraFlags(
    cli
      .option('os', { type: 'string', nargs: 1, describe: OS_FLAG })
      .option('image', {
        type: 'string',
        nargs: 1,
        describe: 'Without a cluster file: lock key, image file or URL',
      })
      .option('hostname', { type: 'string', nargs: 1, describe: 'Its host name' })
      .option('model', { type: 'string', nargs: 1, describe: `Its board (default: ${DEFAULT_MODEL})` })
      .option('user', { type: 'string', nargs: 1, describe: 'Login name' })
      .option('ssh-key', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'Public key that may log in: file or line; turns ssh on',
      })
      .option('ssid', { type: 'string', nargs: 1, describe: 'Wi-Fi network; its pass phrase is asked for' })
      .option('wifi-passphrase-file', {
        type: 'string',
        nargs: 1,
        describe: 'File with the pass phrase (mode 0600)',
      })
      .option('wifi-country', { type: 'string', nargs: 1, describe: 'Country of the Wi-Fi: NL, US …' })
      .option('sha256', { type: 'string', nargs: 1, describe: 'Digest of an image given by URL' })
      .option('trust-first-use', {
        type: 'boolean',
        default: false,
        describe: 'Take what the URL serves now as right',
      })
      .group([...ONLY_ONE_OFF, 'trust-first-use'], 'One node without a cluster file:'),
  ) as unknown as Argv<T & OneOffArgs>
}

export const isOneOff = (args: OneOffArgs): boolean => ONLY_ONE_OFF.some((name) => args[name] !== undefined)

/**
 * The cluster file's project, or one made from flags; with the files given on the command line.
 * @param options.onCard of `customise`: the image that is there, in place of --image
 * @throws {UsageError} flags of both kinds
 */
export async function openAnyProject(
  args: GlobalArgs & OneOffArgs & { node?: string | string[] },
  context: Context,
  { onCard, ...options }: { onCard?: LockedImage } & Pick<ReadOptions, 'readLocal'> = {},
): Promise<Project> {
  const extras = await readExtraArgs(args, context)
  if (!isOneOff(args)) return withOs({ ...(await openProject(args, context, options)), extras }, args.os)
  if (args.node !== undefined) {
    const flag = ONLY_ONE_OFF.find((name) => args[name] !== undefined)
    throw new UsageError(`--${flag} is for a node without a cluster file, and --node names one of a file`, {
      hint: 'Leave out --node, or say it in the cluster file.',
    })
  }
  return withOs({ ...(await openOneOff(args, context, onCard)), extras }, args.os)
}

async function openOneOff(
  args: GlobalArgs & OneOffArgs,
  context: Context,
  onCard: LockedImage | undefined,
): Promise<Project> {
  const { world, output } = context
  const { findOneOffImage } = await import('./one-off-image.ts')
  const lock = await readLock(lockPath(args, world))
  const image = onCard ?? (await findOneOffImage(args, lock, context))
  const overlays = await readOverlays([join(packageRoot(), 'overlays')])
  const cluster = await oneNodeCluster(args, image, [...overlays.keys()], context)
  let keys: Promise<ReturnType<typeof nodeKeys>> | undefined
  return {
    cluster,
    lock: withImage(lock, image),
    overlays,
    keys: () => {
      keys ??= throwawayKeys(output.note)
      return keys
    },
    imageOf: () => image,
  }
}

async function throwawayKeys(note: (text: string) => void): Promise<ReturnType<typeof nodeKeys>> {
  note('No cluster.key is used: host key and ids are random, and the same command makes others next time.')
  return nodeKeys(new ClusterKey(randomBytes(32)))
}

const withImage = (lock: Lock, image: LockedImage): Lock => ({
  ...lock,
  images: new Map(lock.images).set(image.key, image),
})

/** @throws {UsageError} everything wrong with the flags, at once */
async function oneNodeCluster(
  args: GlobalArgs & OneOffArgs,
  image: LockedImage,
  overlayNames: string[],
  { world }: Context,
): Promise<Cluster> {
  if (args.hostname === undefined)
    throw new UsageError('a node without a cluster file needs a host name', {
      hint: 'Give it: --hostname NAME',
    })
  const passphrase = await askPassphrase(args, world.ask)
  const file = {
    cluster: 'one-off',
    image: image.key,
    ...userOf(args),
    wifi:
      args.ssid === undefined
        ? undefined
        : {
            ssid: args.ssid,
            passphraseFile: args['wifi-passphrase-file'] ?? ASKED,
            country: args['wifi-country'],
          },
    overlays: args['ssh-key'] === undefined ? [] : ['ssh'],
    nodes: { [args.hostname]: { model: (args.model ?? DEFAULT_MODEL) as Model } },
  }
  // JSON is YAML: the flags are judged like a file.
  const { cluster, mistakes } = await parseCluster(JSON.stringify(file), 'the command line', {
    features,
    folder: world.cwd,
    home: world.env.HOME ?? '/',
    readLocal: (path) =>
      path.endsWith(ASKED) ? { text: passphrase ?? '', mode: 0o600 } : readLocalFile(path),
    imageKeys: [image.key],
    archOf: () => image.arch,
    overlayNames,
  })
  if (cluster !== undefined) return { ...cluster, warnings: [] }
  const [first] = mistakes
  throw new UsageError(mistakes.map(({ message }) => message).join('; '), { hint: first?.hint })
}

function userOf(args: OneOffArgs): object {
  if (args.user === undefined) {
    if (args['ssh-key'] === undefined) return {}
    throw new UsageError('--ssh-key is for an account', { hint: 'Name it: --user NAME' })
  }
  return { user: { name: args.user, sshKeys: args['ssh-key'] ?? [] } }
}

/** Never from argv: everybody on the machine can read that. */
async function askPassphrase(args: OneOffArgs, ask: Context['world']['ask']): Promise<string | undefined> {
  if (args.ssid === undefined) {
    if (args['wifi-passphrase-file'] === undefined && args['wifi-country'] === undefined) return undefined
    throw new UsageError('the Wi-Fi network has no name', { hint: 'Give it: --ssid NAME' })
  }
  if (args['wifi-passphrase-file'] !== undefined) return undefined
  const answer = await ask(`Pass phrase of ${args.ssid}: `, { hidden: true })
  if (answer !== undefined && answer !== '') return answer
  throw new UsageError(`there is no pass phrase for ${args.ssid}`, {
    hint: 'Give --wifi-passphrase-file FILE, or type it on a terminal.',
  })
}

/** Of a card that is there: what it says it was made from, or nothing known. */
export function imageOfCard(key: string | undefined, sha256 = '0'.repeat(64)): LockedImage {
  const name = key ?? `unknown-arm64-card@${digestOf(sha256).slice(0, 8)}`
  const [system = '', version = ''] = name.split('@')
  const part = { size: null, sha256, source: { kind: 'computed' } } as const
  return {
    key: name,
    os: system.split('-')[0] ?? system,
    release: null,
    version,
    arch: system.includes('armhf') ? 'armhf' : 'arm64',
    variant: 'card',
    url: 'file:///dev/null',
    format: 'img',
    download: part,
    extracted: part,
  }
}
