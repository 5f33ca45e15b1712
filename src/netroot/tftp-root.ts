/**
 * The top of the TFTP tree: a link per node, and the boot code of boards
 * without an EEPROM. Only links change here, each in one step; a board that is
 * half way through its files goes on with those of the edition it started with
 * only until the link moves, so switch while nodes are up or off.
 */
import {
  copyFileSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { currentLink } from './paths.ts'
import type { ServedCluster } from './served.ts'
import { at, makeFolder, OPEN, putLink, type ServerRoot } from './server-root.ts'

const BOOTCODE = 'bootcode.bin'

/** Make the links be those that the nodes have, and no others. */
export function linkNodes({ tftpRoot, stateFolder, nodes }: ServedCluster, place: ServerRoot): void {
  const folder = at(place, tftpRoot)
  makeFolder(folder, OPEN)
  const wanted = new Map<string, string>()
  for (const { name, tftpNames } of nodes)
    for (const link of tftpNames)
      wanted.set(link, `${relative(tftpRoot, currentLink(stateFolder, name))}/boot`)
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const isOurs = lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith('../nodes/')
    if (isOurs && !wanted.has(name)) rmSync(path)
  }
  for (const [name, target] of wanted) {
    const path = join(folder, name)
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(path) === target)
      continue
    putLink(target, path)
  }
}

/**
 * @param boot the generation's boot partition; undefined: no board needs it
 */
export function putBootcode(tftpRoot: string, boot: string | undefined, place: ServerRoot): void {
  const target = join(at(place, tftpRoot), BOOTCODE)
  const source = boot === undefined ? undefined : join(at(place, boot), BOOTCODE)
  if (source === undefined || !existsSync(source)) {
    rmSync(target, { force: true })
    return
  }
  if (existsSync(target) && Buffer.compare(readFileSync(target), readFileSync(source)) === 0) return
  copyFileSync(source, `${target}.part`)
  renameSync(`${target}.part`, target)
}
