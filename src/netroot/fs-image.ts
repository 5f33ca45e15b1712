/**
 * File systems of their own, as files: what a node can reach by NFS.
 *
 * The kernel's NFS server takes the handle of any file on a file system of which
 * a client may mount some folder, whichever folder that is, and handles can be
 * made up. So nothing that lies on the server's own file system is exported:
 * each base, and whatever one node may write, is an ext4 image that is mounted
 * by a loop device.
 *
 * Images are sparse: they take what is in them. The features are those of every
 * kernel that runs on a Pi, whatever mkfs on this machine would choose;
 * `metadata_csum_seed` lets a copy of an image get a UUID of its own.
 *
 * Source: exports(5), `subtree_check`; Linux, "Making Filesystems Exportable";
 * ext4(5).
 */
import { mkdirSync, mkdtempSync, rmdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listMountsUnder } from '../io/mountinfo.ts'
import { listDead, ownName } from '../io/parts.ts'
import { GiB } from '../units.ts'
import type { ImageMount } from './served.ts'
import { at, removeTree, type ServerRoot } from './server-root.ts'
import { runMountTool, runTool } from './system-tool.ts'

/** How much a node may write to its root. */
export const ROOT_BYTES = 8 * GiB

const FEATURES =
  'none,has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super2,large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed'

/**
 * An empty file system, its top folder root's.
 * @param path is written over
 * @param options.uuid of the file system; two layers of an overlay need different ones
 * @param options.from folder that is copied into it
 * @throws {NetrootError} mkfs.ext4 failed
 */
export async function makeImage(
  path: string,
  bytes: number,
  { uuid, from }: { uuid: string; from?: string },
): Promise<void> {
  writeFileSync(path, '', { mode: 0o600 })
  truncateSync(path, bytes)
  // Copies of the superblock would be a tenth of what a node costs.
  const extended = 'root_owner=0:0,num_backup_sb=0,lazy_itable_init=1,lazy_journal_init=1,nodiscard'
  const journal = ['-J', 'size=4']
  await runTool('mkfs.ext4', [
    ...['-q', '-F', '-b', '4096', '-m', '0', '-O', FEATURES, '-U', uuid, '-E', extended, ...journal],
    ...(from === undefined ? [] : ['-d', from]),
    path,
  ])
}

/** A second image with the same content. @param how `always`: blocks are shared, or it fails */
export async function copyImage(
  from: string,
  to: string,
  how: 'always' | 'never',
  uuid: string,
  signal: AbortSignal,
): Promise<void> {
  await runTool('cp', [`--reflink=${how}`, '--sparse=auto', from, to], signal)
  await runTool('tune2fs', ['-U', uuid, to])
}

/**
 * Options of such a mount. What nodes write is not run here and opens no device;
 * what they delete is given back; nothing writes tables that nobody needs yet.
 */
export const imageOptions = (writable: boolean): string =>
  [
    'loop',
    ...(writable ? ['rw', 'discard', 'noinit_itable'] : ['ro']),
    ...['noatime', 'nosuid', 'nodev'],
  ].join(',')

/** Fill a new image; what mkfs put into it is taken out first. */
export const fillImage = <T>(image: string, folder: string, work: () => Promise<T>): Promise<T> =>
  changeImage(image, folder, async () => {
    rmdirSync(join(folder, 'lost+found'))
    return work()
  })

/** Mount an image for as long as `work` takes. @param folder is made */
export async function changeImage<T>(image: string, folder: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(folder, { mode: 0o700 })
  // No flush for each: one for all of them comes before they get their names.
  await runMountTool('mount', ['-t', 'ext4', '-o', `${imageOptions(true)},barrier=0`, image, folder])
  let result: T
  try {
    result = await work()
  } catch (error) {
    // What is still busy then goes with the unfinished folder, at the next run.
    await runMountTool('umount', [folder]).catch(() => {})
    throw error
  }
  await runMountTool('umount', [folder])
  return result
}

/** Folders in which images are looked into, while nothing serves them. */
const LOOK = '.look-'

/** Such a folder, or one of a process that was killed. */
export const isLook = (name: string): boolean => name.startsWith(LOOK)

/** Remove those that killed processes left, and what they have mounted. */
export async function clearLooks(state: string, place: ServerRoot): Promise<void> {
  const above = at(place, state)
  for (const name of await listDead(above, LOOK)) await removeTree(join(above, name))
}

/** Where a path of the server can be read now. */
export type Here = (path: string) => string

/**
 * Look into images: where they are mounted already, else by mounting them
 * elsewhere, read-only, for as long as `work` takes.
 *
 * @throws {NetrootError} one can't be mounted
 */
export async function withImages<T>(
  images: readonly ImageMount[],
  state: string,
  place: ServerRoot,
  work: (here: Here) => Promise<T>,
): Promise<T> {
  // Where nothing says what is mounted, nothing is.
  const mounted = new Set(await listMountsUnder(at(place, state)).catch(() => []))
  const missing = new Map(
    images.filter(({ folder }) => !mounted.has(at(place, folder))).map((one) => [one.folder, one]),
  )
  if (missing.size === 0) return work((path) => at(place, path))
  await clearLooks(state, place)
  const folder = mkdtempSync(join(at(place, state), `${ownName(LOOK)}-`))
  const points = new Map<string, string>()
  try {
    for (const [where, { image }] of missing) {
      const point = join(folder, String(points.size))
      mkdirSync(point)
      // A journal that a power cut left is not replayed: nothing is written here.
      const options = 'loop,ro,noload,nosuid,nodev,noexec'
      await runMountTool('mount', ['-t', 'ext4', '-o', options, at(place, image), point])
      points.set(where, point)
    }
    return await work((path) => {
      for (const [where, point] of points)
        if (path === where || path.startsWith(`${where}/`)) return point + path.slice(where.length)
      return at(place, path)
    })
  } finally {
    for (const point of points.values()) await runMountTool('umount', [point])
    await removeTree(folder)
  }
}
