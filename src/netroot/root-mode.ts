/**
 * How a second root of the same generation is made: the cheapest way that the
 * file system under the state folder has. Tried, not guessed: XFS may lack
 * reflinks, a container may not mount.
 *
 * Source: ioctl_ficlone(2); Linux, "Overlay Filesystem": nfs_export.
 */
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { NetrootError } from '../errors.ts'
import { listDead, ownName } from '../io/parts.ts'
import { removeTree } from './place.ts'
import type { RootMode } from './served.ts'
import { runTool } from './system-tool.ts'

export const rootModes = ['reflink', 'btrfs', 'overlay', 'copy', 'shared'] as const satisfies RootMode[]

export interface RootModeChoice {
  mode: RootMode
  /** One sentence for the plan. */
  why: string
}

/** Of the folders in which modes are tried. */
const PROBE = '.piimage-probe-'
const BTRFS_MAGIC = 0x9123683e

/**
 * @param folder where the trees will lie; need not exist
 * @param asked `auto`, or what somebody insists on
 * @throws {NetrootError} what is insisted on can't be had here
 */
export async function chooseRootMode(folder: string, asked: RootMode | 'auto'): Promise<RootModeChoice> {
  if (asked === 'copy' || asked === 'shared') return { mode: asked, why: 'as asked' }
  const place = nearestFolder(folder)
  const refusals: string[] = []
  for (const mode of ['btrfs', 'reflink', 'overlay'] as const) {
    if (asked !== 'auto' && asked !== mode) continue
    const refusal = await tryMode(mode, place)
    if (refusal === undefined) return { mode, why: asked === 'auto' ? `${place} can do it` : 'as asked' }
    refusals.push(`${mode}: ${refusal}`)
  }
  if (asked === 'auto') return { mode: 'copy', why: refusals.join('; ') }
  throw new NetrootError(`${folder} can't hold roots in mode ${refusals.join('; ')}`, {
    hint: '--root-mode auto takes the best there is; copy works everywhere',
  })
}

function nearestFolder(folder: string): string {
  let place = folder
  while (!existsSync(place)) place = dirname(place)
  return place
}

/** @returns why not, or undefined */
async function tryMode(mode: 'btrfs' | 'reflink' | 'overlay', place: string): Promise<string | undefined> {
  if (mode === 'btrfs' && statfsSync(place).type !== BTRFS_MAGIC) return 'not a btrfs'
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
  async btrfs(probe: string) {
    await runTool('btrfs', ['subvolume', 'create', join(probe, 'a')])
    await runTool('btrfs', ['subvolume', 'snapshot', join(probe, 'a'), join(probe, 'b')])
  },
  async reflink(probe: string) {
    writeFileSync(join(probe, 'a'), 'x'.repeat(4096))
    copyFileSync(join(probe, 'a'), join(probe, 'b'), constants.COPYFILE_FICLONE_FORCE)
  },
  async overlay(probe: string) {
    const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(probe, name))
    if (lower === undefined || upper === undefined || work === undefined || merged === undefined) return
    for (const folder of [lower, upper, work, merged]) mkdirSync(folder)
    // In a namespace of its own, whose end is the mount's: whatever kills us, none is left.
    await runTool('unshare', ['--mount', 'mount', ...mountWords({ lower, upper, work, merged })])
  },
}

interface OverlayFolders {
  lower: string
  upper: string
  work: string
  merged: string
}

/** As the server will mount it. */
export async function mountOverlay(folders: OverlayFolders): Promise<void> {
  await runTool('mount', mountWords(folders))
}

const mountWords = (folders: OverlayFolders): string[] => [
  '-t',
  'overlay',
  'overlay',
  '-o',
  overlayOptions(folders),
  folders.merged,
]

/** The only ones for a root's whole life; `index` and `nfs_export` make its file handles survive a remount. */
export const overlayOptions = ({ lower, upper, work }: Omit<OverlayFolders, 'merged'>): string =>
  [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`, 'index=on', 'nfs_export=on'].join(',')
