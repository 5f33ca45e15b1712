/**
 * An overlay mount of the generation's root and a folder in an image of the node's own.
 *
 * Source: Linux, "Overlay Filesystem": nfs_export.
 */
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../../units.ts'
import { bareUuidOf } from '../../uuid.ts'
import { applyRootEdits } from '../apply-root-edits.ts'
import { fillImage, makeImage, ROOT_BYTES } from '../fs-image.ts'
import type { OverlayMount } from '../served.ts'
import { PRIVATE } from '../server-root.ts'
import { runMountTool, runTool } from '../system-tool.ts'
import { imageIn, type RootWay } from './way.ts'

export const overlayWay: RootWay = {
  place(base, inner) {
    const mine = imageIn(inner, 'own', true)
    const overlay = overlayOf(base.folder, mine.folder, `${inner}/merged`)
    return { rootFolder: overlay.merged, overlay, images: [base, mine] }
  },
  async make({ lower, edits, modified }, folder, uuid) {
    const [image, own, merged] = [join(folder, 'own.ext4'), join(folder, 'own'), join(folder, 'merged')]
    mkdirSync(merged, { mode: PRIVATE })
    await makeImage(image, ROOT_BYTES, { uuid })
    await fillImage(image, own, () =>
      whileMounted(overlayOf(lower, own, merged), () => applyRootEdits(merged, edits, modified)),
    )
  },
  async probe(folder) {
    const at = (name: string) => join(folder, name)
    await makeImage(at('own.ext4'), PROBE_BYTES, { uuid: bareUuidOf(folder) })
    for (const name of ['own', 'lower', 'merged']) mkdirSync(at(name))
    // In a namespace of its own, whose end is the mounts': whatever kills us, none is left.
    const script = 'mount -o loop "$1" "$2" && mkdir "$2/upper" "$2/work" && shift 2 && mount "$@"'
    const words = mountWords(overlayOf(at('lower'), at('own'), at('merged')))
    await runTool('unshare', ['--mount', 'sh', '-c', script, 'sh', at('own.ext4'), at('own'), ...words])
  },
}

const PROBE_BYTES = 16 * MiB

const overlayOf = (lower: string, own: string, merged: string): OverlayMount => ({
  lower,
  upper: `${own}/upper`,
  work: `${own}/work`,
  merged,
})

/**
 * Through the overlay, mounted as the server will mount it: with `nfs_export`
 * the kernel merges only those folders that it has copied up itself.
 */
async function whileMounted(overlay: OverlayMount, edit: () => void): Promise<void> {
  const { lower, upper, work, merged } = overlay
  for (const folder of [upper, work]) mkdirSync(folder, { mode: PRIVATE })
  // The root folder's own rights are the upper one's.
  const { mode, uid, gid } = statSync(lower)
  chownSync(upper, uid, gid)
  chmodSync(upper, mode & 0o7777)
  await runMountTool('mount', mountWords(overlay))
  try {
    edit()
  } finally {
    await runMountTool('umount', [merged])
  }
}

const mountWords = (overlay: OverlayMount): string[] => [
  ...['-t', 'overlay', 'overlay'],
  ...['-o', overlayOptions(overlay), overlay.merged],
]

/**
 * The only ones for a root's whole life. `index` and `nfs_export` make its file handles survive a remount; `xino`
 * keeps the inode numbers of its two file systems apart, which one export shows as one.
 */
export const overlayOptions = ({ lower, upper, work }: Omit<OverlayMount, 'merged'>): string =>
  [
    `lowerdir=${lower}`,
    `upperdir=${upper}`,
    `workdir=${work}`,
    'index=on',
    'nfs_export=on',
    'xino=on',
    'nosuid',
    'nodev',
  ].join(',')
