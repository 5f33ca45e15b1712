/**
 * Old editions and generations away. Kept are, of each node: the one of its next
 * boot, the one it was last seen to start (it may still be running on it), and
 * the newest of the others, as many as asked. A node that is served no more
 * keeps none.
 *
 * A shared root can't say that it was started, so such editions go only when
 * none is asked to be kept.
 */
import { existsSync, readdirSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type EditionRecord, isIsolated } from './edition.ts'
import { currentEdition, lastStarted, listEditions, listNodes, writeHistory } from './editions.ts'
import { type Here, withImages } from './fs-image.ts'
import { withExports } from './node-exports.ts'
import { editionFolder, generationFolder, nodeFolder } from './paths.ts'
import type { ServedCluster } from './served.ts'
import { at, removeTree, type ServerRoot } from './server-root.ts'
import { readServed, writeServed } from './state.ts'

export interface PrunePlan {
  /** What is served without them. */
  served: ServedCluster
  editions: EditionRecord[]
  /** No edition that stays needs them. */
  generations: string[]
  /** Folders of nodes that are served no more. */
  nodes: string[]
}

/** Writes nothing. @param keep how many earlier editions each node keeps */
export async function planPrune(state: string, keep: number, place: ServerRoot): Promise<PrunePlan> {
  const served = readServed(state, place)
  const isServed = new Set(served.nodes.map(({ name }) => name))
  const editions: EditionRecord[] = []
  const used = new Set<string>()
  const kept = new Map<string, EditionRecord[]>()
  for (const node of listNodes(state, place)) {
    const all = listEditions(state, node, place)
    const current = currentEdition(state, node, place)
    const images = all.flatMap((one) => (one.images ?? []).filter(({ writable }) => writable))
    const stay = isServed.has(node)
      ? await withImages(all.length < 2 ? [] : images, state, place, async (here) =>
          stayingEditions(all, current, keep, here),
        )
      : new Set()
    for (const record of all) {
      if (stay.has(record.edition)) used.add(record.generation)
      else editions.push(record)
    }
    kept.set(
      node,
      all.filter(({ edition }) => stay.has(edition)),
    )
  }
  const folder = at(place, generationFolder(state, ''))
  const there = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')) : []
  return {
    served: {
      ...served,
      nodes: served.nodes.map((node) => withExports(node, kept.get(node.name) ?? [])),
    },
    editions,
    generations: there.filter((id) => !used.has(id)).sort(),
    nodes: listNodes(state, place).filter((node) => !isServed.has(node)),
  }
}

/** @param current the edition of the next boot */
export async function stayingEditions(
  editions: readonly EditionRecord[],
  current: string | undefined,
  keep: number,
  here: Here,
): Promise<Set<string>> {
  // What an earlier piimage laid out on the server's own file system is served no more.
  const others = editions.filter((one) => one.edition !== current && isIsolated(one))
  const newest = keep === 0 ? [] : others.slice(-keep)
  const shared = keep === 0 ? [] : others.filter(({ stateFolder }) => stateFolder !== undefined)
  const started = await lastStarted(editions.filter(isIsolated), here)
  return new Set(
    [...newest, ...shared, ...(started === undefined ? [] : [started])]
      .map(({ edition }) => edition)
      .concat(current ?? []),
  )
}

/** The record of what is served first: the servers' files follow from it, and must be without them before this. */
export const writePruned = ({ served }: PrunePlan, place: ServerRoot): Promise<void> =>
  writeServed(served, place)

/** Remove what `planPrune` names, after nothing serves it any more. */
export async function carryOutPrune(state: string, plan: PrunePlan, place: ServerRoot): Promise<void> {
  for (const { node, edition } of plan.editions) {
    const gone = hide(at(place, editionFolder(state, node, edition)))
    const stay = listEditions(state, node, place).map((one) => one.edition)
    writeHistory(state, node, stay, place)
    await removeTree(gone)
  }
  for (const id of plan.generations) await removeTree(hide(at(place, generationFolder(state, id))))
  for (const node of plan.nodes) await removeTree(at(place, nodeFolder(state, node)))
}

/** Under its name there is a whole one or none; what is mounted in it moves with it. */
function hide(folder: string): string {
  const gone = join(dirname(folder), `.${basename(folder)}.gone`)
  if (existsSync(folder)) renameSync(folder, gone)
  return gone
}
