/** Everything on an ext4 volume but the contents of its files: what there is to extract, and in which order. */
import type { Inode } from '../disk/ext4/inode.ts'
import type { Ext4Volume } from '../disk/ext4/volume.ts'
import type { Xattr } from '../disk/ext4/xattr.ts'
import { FormatError } from '../errors.ts'
import type { Task } from '../progress.ts'
import { type TreeEntry, textFromBytes } from './manifest.ts'

/** A file's contents: under its first name in the tree. */
export interface VolumeFile {
  entry: TreeEntry
  ino: number
  /** Further names of the same file. */
  links: TreeEntry[]
}

export interface VolumeListing {
  /** All of them, as in a TreeManifest. */
  entries: TreeEntry[]
  /** In the order in which their data lies on the volume, so that it's read from start to end. */
  files: VolumeFile[]
  /** What has no contents, under its first name: links, devices, fifos, sockets. */
  others: VolumeFile[]
  directories: TreeEntry[]
  /** Bytes of all files, each counted once. */
  bytes: number
}

/** How many entries are listed between two looks at the signal. */
const CHECK_EVERY = 256

/**
 * @throws {FormatError} whatever is damaged; a path that no system call takes
 */
export async function listVolume(volume: Ext4Volume, task: Task): Promise<VolumeListing> {
  const listing: VolumeListing = { entries: [], files: [], others: [], directories: [], bytes: 0 }
  /** By inode number: what has more than one name. */
  const named = new Map<number, VolumeFile>()
  const places = new Map<VolumeFile, number>()
  let groups = 0
  for await (const { rawPath, inode } of volume.walk()) {
    if (listing.entries.length % CHECK_EVERY === 0) task.signal.throwIfAborted()
    const entry = await describe(volume, inode, textFromBytes(rawPath))
    listing.entries.push(entry)
    if (inode.type === 'directory') {
      listing.directories.push(entry)
      continue
    }
    const first = named.get(inode.ino)
    if (first !== undefined) {
      first.entry.hardLink ??= groups += 1
      entry.hardLink = first.entry.hardLink
      first.links.push(entry)
      continue
    }
    const file: VolumeFile = { entry, ino: inode.ino, links: [] }
    if (inode.links > 1) named.set(inode.ino, file)
    if (inode.type !== 'file') {
      listing.others.push(file)
      continue
    }
    listing.files.push(file)
    listing.bytes += inode.size
    places.set(file, (await volume.placeOf(inode)) ?? 0)
  }
  const placeOf = (file: VolumeFile) => places.get(file) as number
  listing.files.sort((a, b) => placeOf(a) - placeOf(b))
  return listing
}

async function describe(volume: Ext4Volume, inode: Inode, path: string): Promise<TreeEntry> {
  const { type, uid, gid, mtime, rdev } = inode
  const size = type === 'file' ? inode.size : 0
  const entry: TreeEntry = { path, type, mode: inode.mode % 0o10000, uid, gid, mtime, size }
  if (type === 'symlink') entry.target = textFromBytes(await volume.readLink(inode))
  if (type === 'character-device' || type === 'block-device') entry.rdev = rdev
  const xattrs = await volume.xattrs(inode)
  if (xattrs.length > 0) entry.xattrs = readableXattrs(xattrs)
  if (type === 'socket' && xattrs.length > 0)
    throw new FormatError(`${path}: a socket with extended attributes, which no archive can hold`)
  return entry
}

function readableXattrs(xattrs: readonly Xattr[]): Record<string, string> {
  return Object.fromEntries(
    xattrs.map(({ rawName, value }) => [textFromBytes(rawName), value.toString('hex')]),
  )
}
