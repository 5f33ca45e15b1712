/**
 * A node's root file system as the node sees it: absolute links lead to its own
 * root, never to the server's files.
 */
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

export interface RootTree {
  folder: string
  /** Where a path ends up, on the server; undefined: nowhere. */
  resolve(path: string): Promise<string | undefined>
  /** Up to `bytes` bytes of a file; undefined: it isn't there. */
  read(path: string, bytes?: number): Promise<Buffer | undefined>
  /** Names in a folder; none when it isn't there. */
  list(path: string): Promise<string[]>
}

/** As many as Linux follows. */
const MAX_LINKS = 40
/** More than any of the files that are looked at. */
const MAX_BYTES = 8 * 1024 * 1024

export function openRootTree(folder: string): RootTree {
  const resolve = async (path: string): Promise<string | undefined> => {
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
      const here = join(folder, ...inside, part)
      const kind = await lstat(here).catch(() => undefined)
      if (kind === undefined) return undefined
      if (!kind.isSymbolicLink()) {
        inside.push(part)
        continue
      }
      links += 1
      if (links > MAX_LINKS) return undefined
      const target = await readlink(here)
      if (target.startsWith('/')) inside = []
      waiting.unshift(...target.split('/').filter((name) => name !== ''))
    }
    return join(folder, ...inside)
  }
  return {
    folder,
    resolve,
    async read(path, bytes = MAX_BYTES) {
      const file = await resolve(path)
      if (file === undefined || !(await lstat(file)).isFile()) return undefined
      const handle = await open(file)
      try {
        const { bytesRead, buffer } = await handle.read(
          Buffer.alloc(Math.min(bytes, (await handle.stat()).size)),
        )
        return buffer.subarray(0, bytesRead)
      } finally {
        await handle.close()
      }
    },
    async list(path) {
      const place = await resolve(path)
      return place === undefined ? [] : (await readdir(place).catch(() => [])).toSorted()
    },
  }
}
