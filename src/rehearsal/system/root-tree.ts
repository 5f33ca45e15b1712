/**
 * A node's root file system as the node sees it: absolute links lead to its own
 * root, never to the server's files. An overlay that isn't mounted is read from
 * its two layers.
 *
 * Source: Linux, Documentation/filesystems/overlayfs.rst (a character device
 * 0/0 in the upper layer hides what the lower one has).
 */
import { constants } from 'node:fs'
import { lstat, open, readdir, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { listMountsUnder } from '../../io/mountinfo.ts'
import type { ServedNode } from '../../netroot/served.ts'

export interface RootTree {
  /** As a person would look it up. */
  folder: string
  /** Where a path ends up, on the server; undefined: nowhere. */
  resolve(path: string): Promise<string | undefined>
  /** Permission bits of what a path ends up at; undefined: it isn't there. */
  mode(path: string): Promise<number | undefined>
  /** Up to `bytes` bytes of a file; undefined: it isn't there. */
  read(path: string, bytes?: number): Promise<Buffer | undefined>
  /** Names in a folder; none when it isn't there. */
  list(path: string): Promise<string[]>
}

/** As many as Linux follows. */
const MAX_LINKS = 40
/** More than any of the files that are looked at. */
const MAX_BYTES = 8 * 1024 * 1024

/** Where the server's files lie on this machine. */
export interface ServerFiles {
  /** Folder that stands for the server's `/`; '' is this machine. */
  prefix: string
  /** Where a path can be read: an image that is not mounted at its place may be mounted elsewhere. */
  here(path: string): string
}

export const filesUnder = (prefix: string): ServerFiles => ({ prefix, here: (path) => prefix + path })

export async function openNodeRoot(
  { rootFolder, overlay }: ServedNode,
  { prefix, here }: ServerFiles,
): Promise<RootTree> {
  const folder = prefix + rootFolder
  if (overlay === undefined) return openRootTree(folder, [here(rootFolder)])
  if (await isMounted(folder)) return openRootTree(folder)
  return openRootTree(folder, [here(overlay.upper), here(overlay.lower)])
}

/** @param layers folders that make it up, the one that counts first */
export function openRootTree(folder: string, layers: readonly string[] = [folder]): RootTree {
  /** The place of a path without links; undefined: it isn't there, or hidden. */
  const find = async (inside: readonly string[]) => {
    for (const layer of layers) {
      const path = join(layer, ...inside)
      const kind = await lstat(path).catch(() => undefined)
      if (kind?.isCharacterDevice() && kind.rdev === 0) return undefined
      if (kind !== undefined) return { path, kind }
    }
    return undefined
  }
  const walk = async (path: string): Promise<string[] | undefined> => {
    const waiting = path.split('/').filter((part) => part !== '')
    let inside: string[] = []
    let links = 0
    while (waiting.length > 0) {
      const part = waiting.shift() as string
      if (part === '.') continue
      if (part === '..') {
        inside.pop()
        continue
      }
      const here = await find([...inside, part])
      if (here === undefined) return undefined
      if (!here.kind.isSymbolicLink()) {
        inside.push(part)
        continue
      }
      links += 1
      if (links > MAX_LINKS) return undefined
      const target = await readlink(here.path)
      if (target.startsWith('/')) inside = []
      waiting.unshift(...target.split('/').filter((name) => name !== ''))
    }
    return inside
  }
  const resolve = async (path: string): Promise<string | undefined> => {
    const inside = await walk(path)
    return inside === undefined ? undefined : (await find(inside))?.path
  }
  return {
    folder,
    resolve,
    async mode(path) {
      const file = await resolve(path)
      return file === undefined ? undefined : (await lstat(file)).mode % 0o10000
    },
    async read(path, bytes = MAX_BYTES) {
      const file = await resolve(path)
      if (file === undefined || !(await lstat(file)).isFile()) return undefined
      // The node may be up, and have put something else there meanwhile.
      const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      try {
        const { size } = await handle.stat()
        const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(bytes, size)))
        return buffer.subarray(0, bytesRead)
      } finally {
        await handle.close()
      }
    },
    async list(path) {
      const inside = await walk(path)
      const names = new Set<string>()
      for (const layer of inside === undefined ? [] : layers)
        for (const name of await readdir(join(layer, ...(inside ?? []))).catch(() => [])) names.add(name)
      const there: string[] = []
      for (const name of names) if ((await find([...(inside ?? []), name])) !== undefined) there.push(name)
      return there.toSorted()
    },
  }
}

export async function isMounted(folder: string): Promise<boolean> {
  const place = await realpath(folder).catch(() => folder)
  // Files alone can be looked at where there is no /proc: nothing is mounted there.
  return (await listMountsUnder(place).catch(() => [] as string[])).includes(place)
}
