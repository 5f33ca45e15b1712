/** `--userdata`, `--metadata`, `--bootconf`, `--file`: files for the boot partition, from here or from an address. */
import { readFileSync, statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import type { Argv } from 'yargs'
import type { Context, GlobalArgs } from '../commands/command.ts'
import { bootPath } from '../customise/edit-kinds.ts'
import { decodeText, type GivenText, readExtras } from '../customise/extras.ts'
import { UsageError } from '../errors.ts'
import type { GivenFiles } from '../node/state.ts'
import { formatBytes, MiB } from '../units.ts'
import { cacheOf } from './project.ts'

export interface ExtraArgs {
  userdata?: string
  metadata?: string
  bootconf?: string
  file?: string[]
}

/** A boot partition has 256 MiB and more, nearly all of it in use. */
const LARGEST_FILE = 32 * MiB

export const extraFlags = <T>(cli: Argv<T>) =>
  cli
    .option('userdata', { type: 'string', nargs: 1, describe: 'user-data for cloud-init: file or URL' })
    .option('metadata', { type: 'string', nargs: 1, describe: 'meta-data for cloud-init: file or URL' })
    .option('bootconf', { type: 'string', nargs: 1, describe: 'config.txt: file or URL' })
    .option('file', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'File or URL for the boot partition: SRC or SRC:DEST',
    })
    .group(['userdata', 'metadata', 'bootconf', 'file'], "Files in place of the image's own:")

/**
 * @returns undefined when none is given
 * @throws {UsageError} a file that isn't there, or may not be put there
 * @throws {FetchError} an address that can't be read
 */
export async function readExtraArgs(
  args: GlobalArgs & ExtraArgs,
  context: Context,
): Promise<GivenFiles | undefined> {
  const { userdata, metadata, bootconf, file = [] } = args
  if (userdata === undefined && metadata === undefined && bootconf === undefined && file.length === 0)
    return undefined
  const read = await openSources(args, context)
  const text = async (source: string | undefined): Promise<GivenText | undefined> =>
    source === undefined ? undefined : decodeText(await read(source), source)
  const files = new Map<string, Uint8Array>()
  for (const word of file) {
    const { source, path } = splitFile(word, context.world.cwd)
    files.set(path === 'network-config' ? path : bootPath(path, `--file ${word}`), await read(source))
  }
  const [userData, metaData, configTxt] = [await text(userdata), await text(metadata), await text(bootconf)]
  return readExtras({ userData, metaData, configTxt, files })
}

/** `SRC:DEST`; a colon of the address itself, or of a file that is really named so, is none of it. */
export function splitFile(word: string, cwd: string): { source: string; path: string } {
  const address = /^https?:\/\/[^/]*/.exec(word)?.[0] ?? ''
  const isFile = address === '' && statSync(resolve(cwd, word), { throwIfNoEntry: false }) !== undefined
  const at = isFile ? -1 : word.indexOf(':', address.length)
  const source = at < 0 ? word : word.slice(0, at)
  const path = at < 0 ? basename(source.replace(/[?#].*$/, '')) : word.slice(at + 1)
  return { source, path }
}

async function openSources(
  args: GlobalArgs,
  context: Context,
): Promise<(source: string) => Promise<Uint8Array>> {
  const { world, output } = context
  const { openHttp } = await import('../fetch/http.ts')
  const { openPublisherHttp } = await import('../fetch/publisher-http.ts')
  const http = openPublisherHttp(
    await cacheOf(args, context),
    { http: openHttp({ env: world.env }), offline: args.offline },
    { report: output.progress, signal: world.signal },
  )
  return async (source) => {
    if (!/^https?:\/\//.test(source)) return readHere(source, world.cwd)
    const bytes = await http.read(source, LARGEST_FILE)
    if (bytes !== undefined) return bytes
    throw new UsageError(`there is nothing at ${source}`, { hint: 'Check the address.' })
  }
}

function readHere(source: string, cwd: string): Uint8Array {
  const path = resolve(cwd, source)
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined || !stats.isFile())
    throw new UsageError(`${source} is ${stats === undefined ? 'not there' : 'no file'}`, {
      hint: 'Name a file or an http(s) address.',
    })
  if (stats.size > LARGEST_FILE)
    throw new UsageError(
      `${source} has ${formatBytes(stats.size)}; the boot partition takes ${formatBytes(LARGEST_FILE)} at most`,
    )
  return readFileSync(path)
}
