/**
 * How a second root of the same generation is made: the cheapest way that the
 * file system under the state folder has. Tried, not guessed: XFS may lack
 * reflinks, a container may not mount.
 *
 * Snapshots of btrfs are not among them: a subvolume is not a file system of its
 * own, so a client that may mount one of them reaches them all.
 *
 * Source: ioctl_ficlone(2).
 */
import { existsSync, mkdtempSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { modesOf, type RootMode, type RootModeWord } from '../../cluster/root-modes.ts'
import { NetrootError } from '../../errors.ts'
import { listDead, ownName } from '../../io/parts.ts'
import { removeTree } from '../server-root.ts'
import type { RootWay } from './way.ts'
import { rootWays } from './ways.ts'

export interface RootModeChoice {
  mode: RootMode
  /** One sentence for the plan. */
  why: string
}

/** Of the folders in which modes are tried. */
const PROBE = '.piimage-probe-'

/**
 * @param folder where the trees will lie; need not exist
 * @param word `auto`, or what somebody insists on
 * @throws {NetrootError} what is insisted on can't be had here
 */
export async function chooseRootMode(folder: string, word: RootModeWord): Promise<RootModeChoice> {
  const refusals: string[] = []
  for (const mode of modesOf(word)) {
    const { probe } = rootWays[mode]
    const why = word === 'auto' ? refusals.join('; ') : 'as asked'
    if (probe === undefined) return { mode, why }
    const place = nearestFolder(folder)
    const refusal = await tryIn(place, probe)
    if (refusal === undefined) return { mode, why: word === 'auto' ? `${place} can do it` : why }
    refusals.push(`${mode}: ${refusal}`)
  }
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
async function tryIn(place: string, probe: Required<RootWay>['probe']): Promise<string | undefined> {
  let folder: string
  try {
    for (const name of await listDead(place, PROBE)) await removeTree(join(place, name))
    folder = mkdtempSync(join(place, `${ownName(PROBE)}-`))
  } catch (error) {
    return `${place} can't be written (${(error as NodeJS.ErrnoException).code})`
  }
  try {
    await probe(folder)
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'EXDEV' || code === 'EINVAL'
      ? 'the file system has no reflinks'
      : message
  } finally {
    await removeTree(folder)
  }
}

/** A folder in which a mode is tried, or was when its process was killed. */
export const isProbe = (name: string): boolean => name.startsWith(PROBE)
