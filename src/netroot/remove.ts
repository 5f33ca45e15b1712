/** All of a state folder away, and nothing else: it is known by what piimage keeps in it. */
import { existsSync, lstatSync, readdirSync, renameSync, rmdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { NetrootError } from '../errors.ts'
import { listMountsUnder } from '../io/mountinfo.ts'
import { clearLooks, isLook } from './fs-image.ts'
import { isProbe } from './root-modes/choose.ts'
import { at, removeTree, type ServerRoot } from './server-root.ts'
import { removeSlots } from './usb-links.ts'

/** All that piimage ever puts there; a first run that failed leaves some of it. */
const ours = new Set(
  'lock served.json servers.json usb-folders.json generations nodes tftp volumes'.split(' '),
)

/**
 * Whether it may be removed: before the servers are stopped.
 * @throws {NetrootError} it is none of ours, is a link, or is a file system of its own
 */
export async function checkRemovable(state: string, place: ServerRoot): Promise<void> {
  const folder = at(place, state)
  if (!existsSync(folder) && existsSync(goneOf(folder))) return
  if (
    !existsSync(folder) ||
    !readdirSync(folder).every((name) => ours.has(name) || isProbe(name) || isLook(name))
  )
    throw new NetrootError(`${folder} was not laid out by piimage`, {
      hint: 'Name the folder that was: --state DIR',
    })
  if (!lstatSync(folder).isDirectory())
    throw new NetrootError(`${folder} is a link`, { hint: 'Name the folder itself: --state DIR' })
  if ((await listMountsUnder(folder)).includes(folder))
    throw new NetrootError(`${folder} is a file system of its own`, {
      hint: 'piimage removes no mount point: unmount it, or empty it yourself.',
    })
}

/**
 * @throws {NetrootError} something in it is still mounted: a node may be up
 */
export async function removeState(state: string, place: ServerRoot): Promise<void> {
  await checkRemovable(state, place)
  const folder = at(place, state)
  if (existsSync(folder)) await clearLooks(state, place)
  const mounted = (await listMountsUnder(folder)).at(-1)
  if (mounted !== undefined)
    throw new NetrootError(`${mounted} is still mounted`, {
      hint: `Shut its node down, then: umount '${mounted}', and run again.`,
    })
  removeSlots(state, place)
  const gone = goneOf(folder)
  await removeTree(gone)
  if (existsSync(folder)) renameSync(folder, gone)
  await removeTree(gone)
  const above = dirname(folder)
  if (above.endsWith('/srv/piimage') && readdirSync(above).length === 0) rmdirSync(above)
}

/** Whole under its name, or not there: a removal that was cut off is known again by this one. */
const goneOf = (folder: string): string => join(dirname(folder), `.${basename(folder)}.gone`)
