/**
 * A read-only ext2, ext3 or ext4 volume, over any BlockReader: no mount, no
 * loop device, no root.
 *
 *   const volume = await Ext4Volume.open(subReader(image, partition.offset, partition.length))
 *   for await (const { path, inode } of volume.walk()) …
 *
 * Every checksum the volume has is verified; what is damaged ends in a
 * FormatError that names the byte. Memory is bounded whatever the volume says:
 * caches of 12 MiB in all, contents in chunks of at most 1 MiB.
 *
 * A journal that was not replayed is read as if it had been; the volume stays
 * as it is. Not read: compressed volumes, and files that are encrypted.
 */
import { FormatError } from '../../errors.ts'
import type { BlockReader, Range } from '../blocks.ts'
import { dataExtents, isInline, readContent, readData, readLinkTarget } from './content.ts'
import { damaged } from './damage.ts'
import { type DirectoryEntry, readDirectory } from './directory.ts'
import { dataRuns } from './file-map.ts'
import { Groups } from './group.ts'
import { type Inode, ROOT_INODE, readInode } from './inode.ts'
import { readJournal, withNewest } from './journal.ts'
import { type LookupOptions, lookupPath } from './lookup.ts'
import type { OpenVolume } from './open-volume.ts'
import { CONTENT_PAGES, METADATA_PAGES, PageCache } from './page-cache.ts'
import { readSuperblock, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, type Superblock } from './superblock.ts'
import { readUsage, type Usage, walkUsage } from './usage.ts'
import { type WalkEntry, walkTree } from './walk.ts'
import { readXattrs, type Xattr } from './xattr.ts'

export class Ext4Volume {
  readonly superblock: Superblock
  /** The journal holds changes that are not in their places yet: the volume was not cleanly unmounted. */
  readonly needsRecovery: boolean
  readonly #blocks: BlockReader
  readonly #volume: OpenVolume
  readonly #unreadable: FormatError | undefined

  /**
   * @throws {FormatError} no ext2/3/4, a damaged superblock, a feature that can't be read (by name)
   */
  static async open(blocks: BlockReader): Promise<Ext4Volume> {
    if (blocks.length < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES)
      throw damaged(`${blocks.length} bytes are too few for ext2/3/4`, 0)
    const volume = await openBlocks(blocks)
    const { superblock } = volume
    const { unreadable } = superblock.features
    if (unreadable.length > 0) {
      throw new FormatError(`ext4: the volume has features that can't be read: ${unreadable.join(', ')}`, {
        hint: 'Use an image with an ordinary ext4 file system.',
      })
    }
    if (!superblock.features.has('needs_recovery')) return new Ext4Volume(blocks, volume)
    try {
      const newest = withNewest(blocks, superblock.blockBytes, await readJournal(volume))
      return new Ext4Volume(blocks, await openBlocks(newest), { needsRecovery: true })
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      return new Ext4Volume(blocks, volume, { needsRecovery: true, unreadable: error })
    }
  }

  /** @param state `unreadable`: why nothing but `usedRanges` works */
  private constructor(
    blocks: BlockReader,
    volume: OpenVolume,
    { needsRecovery = false, unreadable }: { needsRecovery?: boolean; unreadable?: FormatError } = {},
  ) {
    this.#blocks = blocks
    this.#volume = volume
    this.needsRecovery = needsRecovery
    this.#unreadable = unreadable
    this.superblock = volume.superblock
  }

  root(): Promise<Inode> {
    return this.inode(ROOT_INODE)
  }

  /** An inode by number, for example of a DirectoryEntry. */
  async inode(ino: number): Promise<Inode> {
    return readInode(this.#readable(), ino, 0)
  }

  /** The inode at a path, or undefined. Follows no symbolic link unless asked. */
  async lookup(path: string | Buffer, options?: LookupOptions): Promise<Inode | undefined> {
    return lookupPath(this.#readable(), path, options)
  }

  /** All entries but `.` and `..`, sorted by name as bytes. */
  async readDir(directory: Inode): Promise<DirectoryEntry[]> {
    return readDirectory(this.#readable(), directory)
  }

  /** The contents in chunks of at most 1 MiB, holes as zeroes; do not write into them. */
  readFile(file: Inode): AsyncGenerator<Uint8Array> {
    return readContent(this.#readable(), file)
  }

  /** Where a file holds data, in bytes of the file; the rest is holes that read as zeroes. */
  extentsOf(file: Inode): AsyncGenerator<Range> {
    return dataExtents(this.#readable(), file)
  }

  /** Byte of the volume where a file's data starts; undefined where it has none of its own. */
  async placeOf(file: Inode): Promise<number | undefined> {
    if (isInline(file)) return undefined
    for await (const { source } of dataRuns(this.#readable(), file)) return source
    return undefined
  }

  /** Bytes of a file, fewer than `length` at its end. */
  async readData(file: Inode, offset: number, length: number): Promise<Buffer> {
    return readData(this.#readable(), file, offset, length)
  }

  /** The target of a symbolic link, as bytes. */
  async readLink(link: Inode): Promise<Buffer> {
    return readLinkTarget(this.#readable(), link)
  }

  /** The extended attributes, as getxattr(2) would return them, sorted by name. */
  async xattrs(inode: Inode): Promise<Xattr[]> {
    return readXattrs(this.#readable(), inode)
  }

  /** Every entry, the root first, parents before children, names in byte order. */
  walk(): AsyncGenerator<WalkEntry> {
    return walkTree(this.#readable())
  }

  /** Which bytes of the volume may not be skipped, and why if more than the bitmaps say. */
  usage(): Promise<Usage> {
    return readUsage(this.#blocks)
  }

  async usedRanges(): Promise<Range[]> {
    return (await this.usage()).used
  }

  /** The same, group by group, as far as the volume has been unpacked; neighbours may touch. */
  walkUsedRanges(): AsyncGenerator<Range> {
    return walkUsage(this.#blocks)
  }

  #readable(): OpenVolume {
    if (this.#unreadable !== undefined) throw this.#unreadable
    return this.#volume
  }
}

async function openBlocks(blocks: BlockReader): Promise<OpenVolume> {
  const cache = new PageCache(blocks, METADATA_PAGES)
  const superblock = readSuperblock(await cache.read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES), blocks.length)
  const groups = new Groups(cache, superblock)
  return { content: new PageCache(blocks, CONTENT_PAGES), cache, superblock, groups }
}
