/** Files for the boot partition in place of the image's own, from here or from an address. */
import { statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { bootPath } from '../customise/edit-kinds.ts'
import { decodeText, type GivenText, readExtras } from '../customise/extras.ts'
import { UsageError } from '../errors.ts'
import { readInput } from '../io/input-file.ts'
import type { GivenFiles } from '../node/state.ts'
import { formatBytes, MiB } from '../units.ts'
import { type Caller, taskOf } from './caller.ts'
import { cacheOf } from './project.ts'
import type { ClusterRequest } from './request.ts'

/** Each a path, or an http(s) address. */
export interface ExtraFiles {
  userData?: string
  metaData?: string
  configTxt?: string
  /** Any other file, and where it goes on the boot partition. */
  others?: readonly { source: string; path: string }[]
}

/** A boot partition has 256 MiB and more, nearly all of it in use. */
const LARGEST_FILE = 32 * MiB

/**
 * @returns undefined when none is given
 * @throws {UsageError} a file that isn't there, or may not be put there
 * @throws {FetchError} an address that can't be read
 */
export async function readExtraFiles(
  request: ClusterRequest & { files?: ExtraFiles },
  caller: Caller,
): Promise<GivenFiles | undefined> {
  if (request.files === undefined) return undefined
  const { userData, metaData, configTxt, others = [] } = request.files
  const read = await openSources(request, caller)
  const text = async (source: string | undefined): Promise<GivenText | undefined> =>
    source === undefined ? undefined : decodeText(await read(source), source)
  const files = new Map<string, Uint8Array>()
  for (const { source, path } of others)
    files.set(
      path === 'network-config' ? path : bootPath(path, `--file ${source}:${path}`),
      await read(source),
    )
  return readExtras({
    userData: await text(userData),
    metaData: await text(metaData),
    configTxt: await text(configTxt),
    files,
  })
}

async function openSources(
  request: ClusterRequest,
  caller: Caller,
): Promise<(source: string) => Promise<Uint8Array>> {
  const { openHttp } = await import('../fetch/http.ts')
  const { openPublisherHttp } = await import('../fetch/publisher-http.ts')
  const http = openPublisherHttp(
    await cacheOf(request, caller),
    { http: openHttp({ env: caller.env }), offline: request.offline ?? false },
    taskOf(caller),
  )
  return async (source) => {
    if (!/^https?:\/\//.test(source)) return readHere(source, caller.cwd)
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
  return readInput(path, LARGEST_FILE).bytes
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
