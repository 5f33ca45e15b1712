/**
 * Every entry of a volume, in an order that depends on nothing but the names.
 *
 * A directory is reached once or the volume is damaged: loops end the walk
 * with an error, as do directories that together are larger than the volume.
 */
import { damaged } from './damage.ts'
import { type DirectoryEntry, readDirectory } from './directory.ts'
import { type Inode, ROOT_INODE, readInode, refuseEncrypted } from './inode.ts'
import type { OpenVolume } from './open-volume.ts'

export interface WalkEntry {
  /** Without a slash in front, as UTF-8; bytes that are none are replaced. Empty for the root. */
  path: string
  /** The path as bytes. */
  rawPath: Buffer
  inode: Inode
}

/** As long as a path may be for a system call. */
const PATH_MAX = 4095

interface Level {
  rawPath: Buffer
  /** In reverse: the next one is popped. */
  left: DirectoryEntry[]
}

/**
 * The root, then each directory's entries sorted by name as bytes, each
 * directory before what is in it. Hard links share their `inode.ino`.
 *
 * @throws {FormatError} whatever is damaged on the way; loops; paths beyond 4095 bytes; encrypted files
 */
export async function* walkTree(volume: OpenVolume): AsyncGenerator<WalkEntry> {
  const seen = new Set<number>()
  let directoryBytes = 0
  const enter = async (inode: Inode, rawPath: Buffer, at: number): Promise<Level> => {
    if (seen.has(inode.ino))
      throw damaged(
        `directory inode ${inode.ino} is reached twice, at ${JSON.stringify(rawPath.toString('utf8'))}`,
        at,
      )
    seen.add(inode.ino)
    directoryBytes += inode.size
    if (directoryBytes > volume.cache.length)
      throw damaged(`the directories up to inode ${inode.ino} are larger than the volume`, inode.offset + 4)
    return { rawPath, left: (await readDirectory(volume, inode)).reverse() }
  }

  const root = await readInode(volume, ROOT_INODE, 0)
  if (root.type !== 'directory') throw damaged(`the root is a ${root.type}`, root.offset)
  yield { path: '', rawPath: Buffer.alloc(0), inode: root }
  const levels = [await enter(root, Buffer.alloc(0), root.offset)]
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const entry = level.left.pop()
    if (entry === undefined) {
      levels.pop()
      continue
    }
    const rawPath = join(level.rawPath, entry.name)
    if (rawPath.length > PATH_MAX) throw damaged(`a path of ${rawPath.length} bytes`, entry.offset)
    const inode = await readInode(volume, entry.ino, entry.offset)
    refuseEncrypted(inode, rawPath)
    yield { path: rawPath.toString('utf8'), rawPath, inode }
    if (inode.type === 'directory') levels.push(await enter(inode, rawPath, entry.offset))
  }
}

function join(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, Buffer.from('/'), name])
}
