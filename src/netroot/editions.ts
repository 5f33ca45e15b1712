/**
 * A node's editions on the disk: which there are, in which order they were laid
 * out, which one it gets next, and which one it last ran on.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '../io/atomic-file.ts'
import type { EditionRecord } from './edition.ts'
import { currentLink, editionFolder, historyFile, nodeFolder } from './paths.ts'
import { at, type Place, putLink } from './place.ts'

/** Oldest first; one that is made current again is the newest again. */
export function listEditions(state: string, node: string, place: Place): EditionRecord[] {
  return readHistory(state, node, place).flatMap((edition) => {
    const path = join(at(place, editionFolder(state, node, edition)), 'edition.json')
    return existsSync(path) ? [JSON.parse(readFileSync(path, 'utf8')) as EditionRecord] : []
  })
}

function readHistory(state: string, node: string, place: Place): string[] {
  const path = at(place, historyFile(state, node))
  return existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : []
}

/** The edition of the node's next boot. */
export function currentEdition(state: string, node: string, place: Place): string | undefined {
  const path = at(place, currentLink(state, node))
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined
}

/** Names of all nodes that were ever laid out here. */
export function listNodes(state: string, place: Place): string[] {
  const folder = at(place, nodeFolder(state, ''))
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => !name.startsWith('.'))
        .sort()
    : []
}

/**
 * Make an edition the one of the next boot: the history first, so that whatever
 * the link points at is in it; then the link, in one step.
 *
 * @param options.keepOrder a step back: it does not become the newest
 */
export async function switchTo(
  state: string,
  node: string,
  edition: string,
  place: Place,
  { keepOrder = false }: { keepOrder?: boolean } = {},
): Promise<void> {
  const history = readHistory(state, node, place)
  if (history.at(-1) !== edition && !keepOrder) {
    const path = at(place, historyFile(state, node))
    const next = [...history.filter((one) => one !== edition), edition]
    await writeFileAtomically(path, next.map((one) => `${one}\n`).join(''), 0o600)
  }
  if (currentEdition(state, node, place) !== edition) putLink(edition, at(place, currentLink(state, node)))
}

/**
 * The edition that the node was last seen to start; undefined when none was, or
 * none says so (a shared root is read-only).
 */
export function lastStarted(editions: readonly EditionRecord[], place: Place): EditionRecord | undefined {
  let last: { edition: EditionRecord; ms: number } | undefined
  for (const edition of editions) {
    const root = edition.overlay?.upper ?? edition.rootFolder
    const ms = statSync(join(at(place, root), 'var/lib/piimage/booted'), { throwIfNoEntry: false })?.mtimeMs
    if (ms !== undefined && (last === undefined || ms > last.ms)) last = { edition, ms }
  }
  return last?.edition
}
