/** From a path to an inode, as the kernel resolves it inside this volume. */
import { FormatError } from '../../errors.ts'
import { readLinkTarget } from './content.ts'
import { readDirectory } from './directory.ts'
import { type Inode, ROOT_INODE, readInode, refuseEncrypted } from './inode.ts'
import type { OpenVolume } from './open-volume.ts'

export interface LookupOptions {
  /**
   * Follow symbolic links, everywhere in the path; absolute ones start at the
   * volume's root and `..` never leaves it. Default: none, not even within.
   */
  follow?: boolean
}

/** As the kernel counts. */
const MAX_LINKS = 40

/**
 * @param path from the root, with or without a slash in front
 * @returns undefined when there is no such file
 * @throws {FormatError} links that lead in a circle; an encrypted file or folder; whatever is damaged on the way
 */
export async function lookupPath(
  volume: OpenVolume,
  path: string | Buffer,
  options: LookupOptions = {},
): Promise<Inode | undefined> {
  const root = await readInode(volume, ROOT_INODE, 0)
  // The directories from the root to where we are: `..` is the one before.
  let trail = [root]
  const left = components(Buffer.from(path)).reverse()
  let links = 0
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    const here = trail.at(-1) as Inode
    if (here.type !== 'directory') return undefined
    if (isName(name, '.')) continue
    if (isName(name, '..')) {
      if (trail.length > 1) trail.pop()
      continue
    }
    const wanted = name
    const entry = (await readDirectory(volume, here)).find((e) => e.name.equals(wanted))
    if (entry === undefined) return undefined
    const inode = await readInode(volume, entry.ino, entry.offset)
    refuseEncrypted(inode, path)
    if (inode.type !== 'symlink' || options.follow !== true) {
      trail.push(inode)
      continue
    }
    links += 1
    if (links > MAX_LINKS)
      throw new FormatError(`ext4: more than ${MAX_LINKS} symbolic links in '${path.toString()}'`)
    const target = await readLinkTarget(volume, inode)
    if (target[0] === 0x2f) trail = [root]
    left.push(...components(target).reverse())
  }
  return trail.at(-1)
}

function components(path: Buffer): Buffer[] {
  const parts: Buffer[] = []
  let start = 0
  for (let i = 0; i <= path.length; i += 1) {
    if (i < path.length && path[i] !== 0x2f) continue
    if (i > start) parts.push(path.subarray(start, i))
    start = i + 1
  }
  return parts
}

const isName = (name: Buffer, text: string) => name.equals(Buffer.from(text))
