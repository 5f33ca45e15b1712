/**
 * A tree that belongs to a node, which may be up: it can hold anything, and
 * change while it is looked at. So no link is followed, not even one that a
 * folder becomes between two steps: each step starts at an open folder, as
 * openat(2) does. Nothing is opened that could wait for somebody, and what is
 * read has an end.
 *
 * Source: proc(5), `/proc/self/fd`; open(2), `O_NOFOLLOW`.
 */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises'
import { NetrootError } from '../errors.ts'

/** Deeper folders are named, and not looked into. */
const DEEPEST = 100

const inside = ({ fd }: FileHandle, name: string): string => `/proc/self/fd/${fd}/${name}`

const openFolder = (path: string): Promise<FileHandle> =>
  open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)

/** What a node changes meanwhile is not there, or something else. */
const passing = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'ESTALE'])

async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (passing.has((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

export interface ForeignEntry {
  /** From the root, with a slash in front. */
  path: string
  stat: Stats
}

/**
 * Everything in it but folders.
 * @param most entries that are worth listing
 * @throws {NetrootError} there are more
 * @throws the signal's reason
 */
export async function listForeign(root: string, most: number, signal: AbortSignal): Promise<ForeignEntry[]> {
  const entries: ForeignEntry[] = []
  let seen = 0
  const walk = async (folder: FileHandle, below: string, depth: number): Promise<void> => {
    for (const name of await readdir(inside(folder, '.'))) {
      signal.throwIfAborted()
      seen += 1
      if (seen > most)
        throw new NetrootError(`${root} holds more than ${most} files: too many to list`, {
          hint: 'Look into it on the node itself, or give the node a new root: piimage netroot prune, then netroot.',
        })
      const path = `${below}/${name}`
      const stat = await unlessGone(lstat(inside(folder, name)))
      if (stat === undefined) continue
      if (!stat.isDirectory() || depth === DEEPEST) {
        entries.push({ path, stat })
        continue
      }
      const next = await unlessGone(openFolder(inside(folder, name)))
      try {
        if (next !== undefined) await walk(next, path, depth + 1)
      } finally {
        await next?.close()
      }
    }
  }
  const top = await openFolder(root)
  try {
    await walk(top, '', 1)
  } finally {
    await top.close()
  }
  return entries
}

/** Do something with one entry of the tree. @returns undefined where there is none, or a link is on the way */
async function at<T>(
  root: string,
  path: string,
  work: (entry: string, stat: Stats) => Promise<T>,
): Promise<T | undefined> {
  const names = path.split('/').filter((name) => name !== '')
  const last = names.pop() ?? '.'
  const top = await unlessGone(openFolder(root))
  if (top === undefined) return undefined
  let folder: FileHandle = top
  try {
    for (const name of names) {
      const next = await unlessGone(openFolder(inside(folder, name)))
      if (next === undefined) return undefined
      await folder.close()
      folder = next
    }
    const entry = inside(folder, last)
    const stat = await unlessGone(lstat(entry))
    return stat === undefined ? undefined : await work(entry, stat)
  } finally {
    await folder.close()
  }
}

export const statForeign = (root: string, path: string): Promise<Stats | undefined> =>
  at(root, path, async (_, stat) => stat)

export const readForeignLink = (root: string, path: string): Promise<string | undefined> =>
  at(root, path, (entry) => unlessGone(readlink(entry)))

/** @returns undefined where it is no plain file, or a larger one than `most` bytes */
export const readForeignFile = (root: string, path: string, most: number): Promise<Buffer | undefined> =>
  at(root, path, async (entry) => {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    const file = await unlessGone(open(entry, flags))
    try {
      const stat = await file?.stat()
      if (file === undefined || !stat?.isFile() || stat.size > most) return undefined
      const { bytesRead, buffer } = await file.read(Buffer.alloc(stat.size), 0, stat.size, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file?.close()
    }
  })
