/**
 * A node's editions on the disk: which there are, in which order they were laid
 * out, which one it gets next, and which one it last ran on.
 */
import { existsSync, lstatSync, readdirSync, readlinkSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readInputText } from '../io/input-file.ts'
import { readState } from '../io/state-file.ts'
import type { EditionRecord } from './edition.ts'
import { statForeign } from './foreign-tree.ts'
import type { Here } from './fs-image.ts'
import { currentLink, editionFolder, historyFile, nodeFolder } from './paths.ts'
import { at, putLink, type ServerRoot } from './server-root.ts'
import { editionFormat } from './state-formats.ts'
import { runTool } from './system-tool.ts'

/**
 * Oldest first; one that is made current again is the newest again.
 * @throws {NetrootError} a record is damaged
 */
export function listEditions(state: string, node: string, place: ServerRoot): EditionRecord[] {
  return readHistory(state, node, place).flatMap((edition) => {
    const path = join(at(place, editionFolder(state, node, edition)), 'edition.json')
    return readState<EditionRecord>(editionFormat, path) ?? []
  })
}

function readHistory(state: string, node: string, place: ServerRoot): string[] {
  const path = at(place, historyFile(state, node))
  return existsSync(path)
    ? readInputText(path)
        .split('\n')
        .filter((line) => line !== '')
    : []
}

/** The edition of the node's next boot. */
export function currentEdition(state: string, node: string, place: ServerRoot): string | undefined {
  const path = at(place, currentLink(state, node))
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined
}

/** Names of all nodes that were ever laid out here. */
export function listNodes(state: string, place: ServerRoot): string[] {
  const folder = at(place, nodeFolder(state, ''))
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => !name.startsWith('.'))
        .sort()
    : []
}

export interface Switch {
  node: string
  edition: string
}

/**
 * Make editions those of the next boot: the histories first, so that whatever a
 * link points at is in one; then the links, each in one step.
 *
 * @param options.keepOrder a step back: they do not become the newest
 */
export async function switchTo(
  state: string,
  switches: readonly Switch[],
  place: ServerRoot,
  { keepOrder = false }: { keepOrder?: boolean } = {},
): Promise<void> {
  const changed = switches.filter(
    ({ node, edition }) => !keepOrder && readHistory(state, node, place).at(-1) !== edition,
  )
  for (const { node, edition } of changed) {
    const others = readHistory(state, node, place).filter((one) => one !== edition)
    writeHistory(state, node, [...others, edition], place)
  }
  if (changed.length > 0) await runTool('sync', ['-f', at(place, state)])
  for (const { node, edition } of switches)
    if (currentEdition(state, node, place) !== edition) putLink(edition, at(place, currentLink(state, node)))
}

/** Whole or not at all; on the disk with the next flush. */
export function writeHistory(
  state: string,
  node: string,
  editions: readonly string[],
  place: ServerRoot,
): void {
  const path = at(place, historyFile(state, node))
  writeFileSync(`${path}.part`, editions.map((edition) => `${edition}\n`).join(''), { mode: 0o600 })
  renameSync(`${path}.part`, path)
}

/**
 * The edition that the node was last seen to start; undefined when none was, or
 * none says so (a shared root is read-only).
 */
export async function lastStarted(
  editions: readonly EditionRecord[],
  here: Here,
): Promise<EditionRecord | undefined> {
  let last: { edition: EditionRecord; ms: number } | undefined
  for (const edition of editions) {
    const root = here(edition.overlay?.upper ?? edition.rootFolder)
    const ms = (await statForeign(root, 'var/lib/piimage/booted'))?.mtimeMs
    if (ms !== undefined && (last === undefined || ms > last.ms)) last = { edition, ms }
  }
  return last?.edition
}
