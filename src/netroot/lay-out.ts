/**
 * Make a plan so: generations, editions and volumes beside what is served, then
 * the links. Killed at any moment, the next run finds whole things under their
 * names and unfinished ones under names that start with a dot.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../progress.ts'
import { exportOf } from './edition.ts'
import { listEditions, listNodes, switchTo } from './editions.ts'
import { type GenerationRecord, type GenerationSource, makeGeneration } from './generation.ts'
import { finishEditions, makeEdition, type NewEdition } from './make-edition.ts'
import { makeVolume } from './make-volume.ts'
import { generationFolder, nodeFolder, tftpFolder, volumeFolder } from './paths.ts'
import { at, type Place, removeTree } from './place.ts'
import { type NetrootPlan, withExports } from './plan.ts'
import type { ServedCluster } from './served.ts'
import { makeSharedBoot } from './shared/boot.ts'
import { makeStateFolder, writeServed } from './state.ts'
import { linkNodes, putBootcode } from './tftp-root.ts'
import { linkSlots } from './usb-links.ts'

export interface LayOutOptions {
  place: Place
  /** Opens an image by its key; called for each generation that is not there. */
  open: (image: string) => Promise<GenerationSource>
  /** What may surprise, by node or image. */
  warn: (sentence: string) => void
}

export interface LaidOut {
  served: ServedCluster
  /** Those that were not there. */
  generations: string[]
  nodes: string[]
}

/** @throws {NetrootError} what could not be made; what was served before still is */
export async function layOut(plan: NetrootPlan, options: LayOutOptions, task: Task): Promise<LaidOut> {
  const { place, warn } = options
  const { stateFolder, tftpRoot } = plan.served
  const laid: LaidOut = { served: plan.served, generations: [], nodes: [] }
  makeStateFolder(stateFolder, place)
  await removeUnfinished(stateFolder, place)
  const generations = new Map<string, GenerationRecord>()
  for (const generation of plan.generations) {
    if (!existsSync(at(place, generation.folder))) laid.generations.push(generation.id)
    const mode = plan.nodes[0]?.record.rootMode ?? 'copy'
    const open = () => options.open(generation.image)
    const record = await makeGeneration(generation, mode, open, place, task)
    generations.set(generation.id, record)
    if (mode === 'shared') await makeSharedBoot(at(place, generation.folder), record)
    warnOfCapabilities(record, warn)
  }
  const state = { folder: stateFolder, place, scanned: new Set<string>() }
  const editions: NewEdition[] = []
  for (const node of plan.nodes) {
    task.signal.throwIfAborted()
    const generation = generations.get(node.record.generation)
    if (generation === undefined) throw new Error(`no generation ${node.record.generation}`)
    const made = await makeEdition(node, generation, state, task.signal)
    if (made !== undefined) {
      editions.push(made)
      laid.nodes.push(node.record.node)
    }
    if (node.volume !== undefined) {
      const { file, bytes, folder } = node.volume
      const other = await makeVolume(at(place, file), bytes, exportOf(folder, '', true).fsid)
      if (other !== undefined) warn(other)
    }
  }
  task.signal.throwIfAborted()
  await finishEditions(editions)
  await switchTo(
    stateFolder,
    plan.nodes.map(({ record }) => record),
    place,
  )
  linkNodes(plan.served, place)
  await linkSlots(plan.served, place)
  const bootcode = plan.bootcode === undefined ? undefined : generationFolder(stateFolder, plan.bootcode)
  putBootcode(tftpRoot, bootcode === undefined ? undefined : `${bootcode}/boot`, place)
  laid.served = withEditions(plan.served, place)
  await writeServed(laid.served, place)
  return laid
}

function warnOfCapabilities({ image, capabilities }: GenerationRecord, warn: LayOutOptions['warn']): void {
  const lost = capabilities.filter(({ path }) => !/(^|\/)ping$/.test(path)).map(({ path }) => path)
  if (lost.length > 0)
    warn(
      `${image}: over NFS these run without their file capabilities, so only root can use them: ${lost.join(', ')}`,
    )
}

/** Exports of all editions that are there now. */
const withEditions = (served: ServedCluster, place: Place): ServedCluster => ({
  ...served,
  nodes: served.nodes.map((node) => withExports(node, listEditions(served.stateFolder, node.name, place))),
})

/** What a run that was killed has left, with the mounts in it. */
async function removeUnfinished(state: string, place: Place): Promise<void> {
  const folders = [
    generationFolder(state, ''),
    tftpFolder(state),
    ...listNodes(state, place).flatMap((node) => [nodeFolder(state, node), volumeFolder(state, node)]),
  ]
  for (const folder of folders.map((path) => at(place, path))) {
    if (!existsSync(folder)) continue
    for (const name of readdirSync(folder))
      if (name.startsWith('.') || name.endsWith('.part')) await removeTree(join(folder, name))
  }
}
