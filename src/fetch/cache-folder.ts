/** Where the cache is, and what its files are called. */
import { homedir } from 'node:os'
import { posix, win32 } from 'node:path'
import { UsageError } from '../errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The folder for what can be fetched again: PIIMAGE_CACHE, else the platform's. `env` and `platform` as of World. */
export const chooseCacheFolder = (env: Environment, platform: NodeJS.Platform): string =>
  env.PIIMAGE_CACHE || userFolder(env, platform, 'Cache')

/** The platform's folder for what this user's runs know of one another. */
export const chooseStateFolder = (env: Environment, platform: NodeJS.Platform): string =>
  userFolder(env, platform, 'State')

const places = {
  Cache: { mac: ['Library', 'Caches'], xdg: 'XDG_CACHE_HOME', home: ['.cache'] },
  State: { mac: ['Library', 'Application Support'], xdg: 'XDG_STATE_HOME', home: ['.local', 'state'] },
} as const

/** An empty variable is one that is not set. */
function userFolder(env: Environment, platform: NodeJS.Platform, kind: keyof typeof places): string {
  const { join, isAbsolute } = platform === 'win32' ? win32 : posix
  const home = env.HOME || env.USERPROFILE || homedir()
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'piimage', kind)
  const place = places[kind]
  if (platform === 'darwin') return join(home, ...place.mac, 'piimage')
  const xdg = env[place.xdg] ?? ''
  // The XDG specification: a relative path is ignored.
  return isAbsolute(xdg) ? join(xdg, 'piimage') : join(home, ...place.home, 'piimage')
}

/** Paths of the entry whose download has this digest. */
export interface EntryPaths {
  download: string
  downloadPartial: string
  image: string
  imagePartial: string
  /** What the image was when it was made, and this user's word for it (./unpack-record.ts). */
  imageFacts: string
  /** Two, so that a download may happen while its image is being made. */
  locks: Record<'download' | 'image', string>
}

/**
 * @param id sha256 of the download, or `url-` and the sha256 of an address whose digest isn't known yet
 * @throws {UsageError} anything else: it would become a path
 */
export function entryPaths(folder: string, id: string): EntryPaths {
  if (!/^(url-)?[0-9a-f]{64}$/.test(id)) throw new UsageError(`${JSON.stringify(id)} is not a sha256`)
  const download = `${folder}/downloads/${id}`
  const image = `${folder}/images/${id}.img`
  return {
    download,
    downloadPartial: `${download}.part`,
    image,
    imagePartial: `${image}.part`,
    imageFacts: `${folder}/images/${id}.json`,
    locks: { download: `${folder}/locks/${id}.download`, image: `${folder}/locks/${id}.image` },
  }
}
