/** An ext4 root as the checks of a node's root see one: paths resolved as the system itself would. */
import type { Ext4Volume } from '../../disk/ext4/volume.ts'
import { rootFilesOf } from '../../root/root-files.ts'
import type { RootTree } from '../system/root-tree.ts'

const MAX_BYTES = 8 * 1024 * 1024

export function rootTreeOf(volume: Ext4Volume): RootTree {
  const files = rootFilesOf(volume)
  return {
    folder: '',
    resolve: async (path) => ((await files.has(path)) ? path : undefined),
    mode: async (path) => {
      const inode = await volume.lookup(path, { follow: true })
      return inode === undefined ? undefined : inode.mode % 0o10000
    },
    async read(path, bytes = MAX_BYTES) {
      const read = await files.read(path, 0, bytes)
      return read === undefined ? undefined : Buffer.from(read)
    },
    list: async (path) => (await files.list(path)).toSorted(),
  }
}
