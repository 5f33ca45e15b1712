/**
 * How a second root of the same generation is made: the cheapest way that the
 * file system under the state folder has. Tried, not guessed: XFS may lack
 * reflinks, a container may not mount.
 *
 * Snapshots of btrfs are not among them: a subvolume is not a file system of its
 * own, so a client that may mount one of them reaches them all.
 *
 * Source: ioctl_ficlone(2); Linux, "Overlay Filesystem": nfs_export.
 */
import { constants, copyFileSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { RootMode, RootModeWord } from '../cluster/root-modes.ts'
import { NetrootError } from '../errors.ts'
import { listDead, ownName } from '../io/parts.ts'
import { MiB } from '../units.ts'
import { uuidOf } from './edition.ts'
import { makeImage } from './fs-image.ts'
import { removeTree } from './place.ts'
import { runMountTool, runTool } from './system-tool.ts'

export interface RootModeChoice {
  mode: RootMode
  /** One sentence for the plan. */
  why: string
}

/** Of the folders in which modes are tried. */
const PROBE = '.piimage-probe-'

/**
 * @param folder where the trees will lie; need not exist
 * @param asked `auto`, or what somebody insists on
 * @throws {NetrootError} what is insisted on can't be had here
 */
export async function chooseRootMode(folder: string, word: RootModeWord): Promise<RootModeChoice> {
  const asked = word === 'btrfs' ? 'reflink' : word
  if (asked === 'copy' || asked === 'shared') return { mode: asked, why: 'as asked' }
  const place = nearestFolder(folder)
  const refusals: string[] = []
  for (const mode of ['reflink', 'overlay'] as const) {
    if (asked !== 'auto' && asked !== mode) continue
    const refusal = await tryMode(mode, place)
    if (refusal === undefined) return { mode, why: asked === 'auto' ? `${place} can do it` : 'as asked' }
    refusals.push(`${mode}: ${refusal}`)
  }
  if (asked === 'auto') return { mode: 'copy', why: refusals.join('; ') }
  throw new NetrootError(`${folder} can't hold roots in mode ${refusals.join('; ')}`, {
    hint: '--root-mode auto takes the best there is',
  })
}

function nearestFolder(folder: string): string {
  let place = folder
  while (!existsSync(place)) place = dirname(place)
  return place
}

/** @returns why not, or undefined */
async function tryMode(mode: 'reflink' | 'overlay', place: string): Promise<string | undefined> {
  let probe: string
  try {
    for (const name of await listDead(place, PROBE)) await removeTree(join(place, name))
    probe = mkdtempSync(join(place, `${ownName(PROBE)}-`))
  } catch (error) {
    return `${place} can't be written (${(error as NodeJS.ErrnoException).code})`
  }
  try {
    await tries[mode](probe)
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'EXDEV' || code === 'EINVAL'
      ? 'the file system has no reflinks'
      : message
  } finally {
    await removeTree(probe)
  }
}

/** A folder in which a mode is tried, or was when its process was killed. */
export const isProbe = (name: string): boolean => name.startsWith(PROBE)

const tries = {
  async reflink(probe: string) {
    writeFileSync(join(probe, 'a'), 'x'.repeat(4096))
    copyFileSync(join(probe, 'a'), join(probe, 'b'), constants.COPYFILE_FICLONE_FORCE)
  },
  async overlay(probe: string) {
    const at = (name: string) => join(probe, name)
    await makeImage(at('own.ext4'), PROBE_BYTES, { uuid: uuidOf(probe) })
    for (const folder of ['own', 'lower', 'merged']) mkdirSync(at(folder))
    const folders = { lower: at('lower'), upper: at('own/upper'), work: at('own/work'), merged: at('merged') }
    // In a namespace of its own, whose end is the mounts': whatever kills us, none is left.
    const script = 'mount -o loop "$1" "$2" && mkdir "$2/upper" "$2/work" && shift 2 && mount "$@"'
    const words = [script, 'sh', at('own.ext4'), at('own'), ...mountWords(folders)]
    await runTool('unshare', ['--mount', 'sh', '-c', ...words])
  },
}

const PROBE_BYTES = 16 * MiB

interface OverlayFolders {
  lower: string
  upper: string
  work: string
  merged: string
}

/** As the server will mount it. */
export async function mountOverlay(folders: OverlayFolders): Promise<void> {
  await runMountTool('mount', mountWords(folders))
}

const mountWords = (folders: OverlayFolders): string[] => [
  '-t',
  'overlay',
  'overlay',
  '-o',
  overlayOptions(folders),
  folders.merged,
]

/**
 * The only ones for a root's whole life. `index` and `nfs_export` make its file handles survive a remount; `xino`
 * keeps the inode numbers of its two file systems apart, which one export shows as one.
 */
export const overlayOptions = ({ lower, upper, work }: Omit<OverlayFolders, 'merged'>): string =>
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
