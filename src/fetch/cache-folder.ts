/** Where the cache is, and what its files are called. */
import { homedir } from 'node:os'
import { posix, win32 } from 'node:path'
import { UsageError } from '../errors.ts'

/** The platform's folder for what can be fetched again. `env` and `platform` as of World. */
export function defaultCacheFolder(
  env: Record<string, string | undefined>,
  platform: NodeJS.Platform,
): string {
  const { join, isAbsolute } = platform === 'win32' ? win32 : posix
  const home = env.HOME ?? env.USERPROFILE ?? homedir()
  if (platform === 'win32')
    return join(env.LOCALAPPDATA ?? join(home, 'AppData', 'Local'), 'piimage', 'Cache')
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'piimage')
  const xdg = env.XDG_CACHE_HOME
  // The XDG specification: a relative path is ignored.
  return xdg !== undefined && isAbsolute(xdg) ? join(xdg, 'piimage') : join(home, '.cache', 'piimage')
}

/** Paths of the entry whose download has this digest. */
export interface EntryPaths {
  download: string
  downloadPartial: string
  image: string
  imagePartial: string
  /** What the image was when it was made: size and sha256. */
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
