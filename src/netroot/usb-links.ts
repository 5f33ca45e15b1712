/**
 * Boot folders of Zeros on a ClusterHAT, where ClusterCTRL looks for them:
 * `/var/lib/clusterctrl/nfs/pN/boot`, or `boot/firmware` in newer releases. Its
 * own command `clusterctrl init` leads rpiboot from the USB port to there. One
 * link serves both: a boot tree has a link `firmware` to itself.
 *
 * Source: burtyb/clusterhat-image, `clusterctrl`.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { NetrootError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { formatState, readState } from '../io/state-file.ts'
import { currentLink } from './paths.ts'
import type { ServedCluster } from './served.ts'
import { at, putLink, type ServerRoot } from './server-root.ts'
import { usbFoldersFormat } from './state-formats.ts'

const FOLDER = '/var/lib/clusterctrl/nfs'

/** Folders that were not there before, for the removal. */
const madeFile = (state: string): string => `${state}/usb-folders.json`

const slotFolder = (slot: number): string => `${FOLDER}/p${slot}`

/** @throws {NetrootError} somebody else's boot files are in the way */
export async function linkSlots({ stateFolder, nodes }: ServedCluster, place: ServerRoot): Promise<void> {
  const wanted = new Map(
    nodes.flatMap(({ name, usbSlot }) =>
      usbSlot === undefined ? [] : [[usbSlot, `${currentLink(stateFolder, name)}/boot`] as const],
    ),
  )
  unlinkSlots(stateFolder, place, (slot) => !wanted.has(slot))
  const made = readMade(stateFolder, place)
  for (const [slot, target] of wanted) {
    const folder = at(place, slotFolder(slot))
    const first = mkdirSync(folder, { recursive: true })
    if (first !== undefined) made.push(first.slice(place.prefix.length))
    const path = join(folder, 'boot')
    const there = lstatSync(path, { throwIfNoEntry: false })
    if (there !== undefined && !isOurs(path, stateFolder))
      throw new NetrootError(`${path} is there and not piimage's`, {
        hint: `Move what slot p${slot} boots now out of the way: ${folder}`,
      })
    if (there === undefined || readlinkSync(path) !== target) putLink(target, path)
  }
  if (made.length > 0)
    await writeFileAtomically(
      at(place, madeFile(stateFolder)),
      formatState(usbFoldersFormat, { folders: made }),
      0o600,
    )
}

/** Take the links away, and the folders that were made for them. */
export function removeSlots(state: string, place: ServerRoot): void {
  unlinkSlots(state, place, () => true)
  for (const first of readMade(state, place).reverse()) removeEmpty(at(place, first))
}

function unlinkSlots(state: string, place: ServerRoot, isUnwanted: (slot: number) => boolean): void {
  const folder = at(place, FOLDER)
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    const path = join(folder, name, 'boot')
    if (/^p\d+$/.test(name) && isOurs(path, state) && isUnwanted(Number(name.slice(1)))) rmSync(path)
  }
}

const isOurs = (path: string, state: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true &&
  readlinkSync(path).startsWith(`${state}/`)

const readMade = (state: string, place: ServerRoot): string[] =>
  readState<{ folders: string[] }>(usbFoldersFormat, at(place, madeFile(state)))?.folders ?? []

/** The folder, and those in it, as far as nothing else is there. */
function removeEmpty(folder: string): void {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeEmpty(join(folder, entry.name))
  if (readdirSync(folder).length === 0) rmdirSync(folder)
}
