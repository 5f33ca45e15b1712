/**
 * A root file system as far as anybody asks it: paths with a slash in front,
 * symbolic links followed as the system itself would.
 */
import type { Ext4Volume } from '../disk/ext4/volume.ts'

export interface RootFiles {
  has(path: string): Promise<boolean>
  /** Length of a file in bytes; undefined: it isn't there, or is no file. */
  size(path: string): Promise<number | undefined>
  /** At most `length` bytes from `offset`; undefined: it isn't there, or is no file. */
  read(path: string, offset: number, length: number): Promise<Uint8Array | undefined>
  /** Names in a folder; [] when there is none. */
  list(path: string): Promise<string[]>
  /** Target of a symbolic link; undefined: it is none, or isn't there. */
  link(path: string): Promise<string | undefined>
}

/** No text file that is looked at is longer; what lies behind that is not read. */
const MAX_TEXT_BYTES = 1024 * 1024

/** @returns undefined: there is no such file */
export async function readRootText(root: Pick<RootFiles, 'read'>, path: string): Promise<string | undefined> {
  const bytes = await root.read(path, 0, MAX_TEXT_BYTES)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
}

/** Whatever is damaged on the way ends in a FormatError. */
export function rootFilesOf(volume: Ext4Volume): RootFiles {
  const find = (path: string) => volume.lookup(path, { follow: true })
  const file = async (path: string) => {
    const inode = await find(path)
    return inode?.type === 'file' ? inode : undefined
  }
  return {
    has: async (path) => (await find(path)) !== undefined,
    size: async (path) => (await file(path))?.size,
    async read(path, offset, length) {
      const inode = await file(path)
      return inode === undefined ? undefined : volume.readData(inode, offset, length)
    },
    async list(path) {
      const inode = await find(path)
      if (inode?.type !== 'directory') return []
      return (await volume.readDir(inode)).map(({ name }) => name.toString('utf8'))
    },
    async link(path) {
      const inode = await volume.lookup(path)
      return inode?.type === 'symlink' ? (await volume.readLink(inode)).toString('utf8') : undefined
    },
  }
}
