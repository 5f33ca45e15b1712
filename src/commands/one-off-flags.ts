/** Flags of commands that take nodes of a cluster file, or one without; and the request they make. */
import type { Argv } from 'yargs'
import { DEFAULT_MODEL } from '../cluster/boards.ts'
import { UsageError } from '../errors.ts'
import { type ExtraFiles, splitFile } from '../work/extra-files.ts'
import type { NodesRequest } from '../work/one-off.ts'
import type { OneOff } from '../work/request.ts'
import type { World } from '../world.ts'
import { common, OS_FLAG } from './caller.ts'
import type { GlobalArgs } from './command.ts'

export interface OneOffArgs {
  force?: boolean
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
  userdata?: string
  metadata?: string
  bootconf?: string
  file?: string[]
}

/** Those that say that there is no cluster file. */
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

export function oneOffFlags<T>(cli: Argv<T>): Argv<T & OneOffArgs> {
  return cli
    .option('os', { type: 'string', nargs: 1, describe: OS_FLAG })
    .option('force', { type: 'boolean', default: false, describe: 'Also what would not boot' })
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
    .group([...ONLY_ONE_OFF, 'trust-first-use'], 'One node without a cluster file:')
    .option('userdata', { type: 'string', nargs: 1, describe: 'user-data for cloud-init: file or URL' })
    .option('metadata', { type: 'string', nargs: 1, describe: 'meta-data for cloud-init: file or URL' })
    .option('bootconf', { type: 'string', nargs: 1, describe: 'config.txt: file or URL' })
    .option('file', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'File or URL for the boot partition: SRC or SRC:DEST',
    })
    .group(
      ['userdata', 'metadata', 'bootconf', 'file'],
      "Files in place of the image's own:",
    ) as unknown as Argv<T & OneOffArgs>
}

export const isOneOff = (args: OneOffArgs): boolean => ONLY_ONE_OFF.some((name) => args[name] !== undefined)

/** @throws {UsageError} flags of both kinds, or one that needs another */
export async function nodesRequest(
  args: GlobalArgs & OneOffArgs & { node?: string | string[] },
  world: World,
): Promise<NodesRequest> {
  const { os, force } = args
  const request = { ...common(args), os, force, files: extraFiles(args, world.cwd) }
  if (!isOneOff(args)) return request
  if (args.node !== undefined) {
    const flag = ONLY_ONE_OFF.find((name) => args[name] !== undefined)
    throw new UsageError(`--${flag} is for a node without a cluster file, and --node names one of a file`, {
      hint: 'Leave out --node, or say it in the cluster file.',
    })
  }
  return { ...request, oneOff: await readOneOff(args, world.ask) }
}

async function readOneOff(args: OneOffArgs, ask: World['ask']): Promise<OneOff> {
  if (args.hostname === undefined)
    throw new UsageError('a node without a cluster file needs a host name', {
      hint: 'Give it: --hostname NAME',
    })
  if (args.user === undefined && args['ssh-key'] !== undefined)
    throw new UsageError('--ssh-key is for an account', { hint: 'Name it: --user NAME' })
  const { hostname, image, model, user, sha256 } = args
  return {
    hostname,
    image,
    model,
    user,
    sshKeys: args['ssh-key'],
    sha256,
    trustFirstUse: args['trust-first-use'],
    wifi: await readWifi(args, ask),
  }
}

/** The pass phrase is never taken from argv: everybody on the machine can read that. */
async function readWifi(args: OneOffArgs, ask: World['ask']): Promise<OneOff['wifi']> {
  const { ssid, 'wifi-passphrase-file': passphraseFile, 'wifi-country': country } = args
  if (ssid === undefined) {
    if (passphraseFile === undefined && country === undefined) return undefined
    throw new UsageError('the Wi-Fi network has no name', { hint: 'Give it: --ssid NAME' })
  }
  if (passphraseFile !== undefined) return { ssid, passphraseFile, country }
  const passphrase = await ask(`Pass phrase of ${ssid}: `, { hidden: true })
  if (passphrase !== undefined && passphrase !== '') return { ssid, passphrase, country }
  throw new UsageError(`there is no pass phrase for ${ssid}`, {
    hint: 'Give --wifi-passphrase-file FILE, or type it on a terminal.',
  })
}

function extraFiles(args: OneOffArgs, cwd: string): ExtraFiles | undefined {
  const { userdata: userData, metadata: metaData, bootconf: configTxt, file = [] } = args
  if (userData === undefined && metaData === undefined && configTxt === undefined && file.length === 0)
    return undefined
  return { userData, metaData, configTxt, others: file.map((word) => splitFile(word, cwd)) }
}
