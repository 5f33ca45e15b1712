/**
 * Make a plan so: generations, editions and volumes beside what is served, then
 * the links. Killed at any moment, the next run finds whole things under their
 * names and unfinished ones under names that start with a dot.
 */
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Task } from '../progress.ts'
import { listEditions, listNodes, switchTo } from './editions.ts'
import { clearLooks, withImages } from './fs-image.ts'
import { type GenerationRecord, type GenerationSource, makeGeneration } from './generation.ts'
import { finishEditions, makeEdition, type NewEdition } from './make-edition.ts'
import { makeVolume } from './make-volume.ts'
import { withExports } from './node-exports.ts'
import { baseImage, generationFolder, nodeFolder, servedFile, tftpFolder, volumeFolder } from './paths.ts'
import type { NetrootPlan, NodePlan } from './plan.ts'
import type { ServedCluster } from './served.ts'
import { at, removeTree, type ServerRoot } from './server-root.ts'
import { makeSharedBoot } from './shared/boot.ts'
import { makeStateFolder, readServed, writeServed } from './state.ts'
import { linkNodes, putBootcode } from './tftp-root.ts'
import { linkSlots } from './usb-links.ts'

export interface LayOutOptions {
  place: ServerRoot
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
    const open = () => options.open(generation.image)
    const record = await makeGeneration(generation, open, place, task)
    generations.set(generation.id, record)
    warnOfCapabilities(record, warn)
  }
  const isNew = ({ record }: NodePlan) => !existsSync(at(place, dirname(record.bootFolder)))
  const missing = plan.nodes.filter(isNew)
  const bases = new Set(missing.map(({ record }) => record.generation))
  const images = [...bases].map((id) => baseImage(stateFolder, id))
  await withImages(images, stateFolder, place, async (here) => {
    const state = { folder: stateFolder, place, scanned: new Set<string>() }
    const editions: NewEdition[] = []
    for (const node of missing) {
      task.signal.throwIfAborted()
      const { generation: id, stateFolder: ownState, node: name } = node.record
      const generation = generations.get(id)
      if (generation === undefined) throw new Error(`no generation ${id}`)
      const lower = here(baseImage(stateFolder, id).folder)
      if (ownState !== undefined)
        await makeSharedBoot(at(place, generationFolder(stateFolder, id)), lower, generation)
      editions.push(await makeEdition(node, generation, lower, state, task.signal))
      laid.nodes.push(name)
    }
    task.signal.throwIfAborted()
    await finishEditions(editions)
  })
  const before = existsSync(at(place, servedFile(stateFolder))) ? readServed(stateFolder, place).nodes : []
  const exported = before.flatMap(({ exports }) => exports)
  for (const { volume } of plan.nodes) {
    task.signal.throwIfAborted()
    if (volume === undefined) continue
    const other = await makeVolume(volume, exported, place, task.signal)
    if (other !== undefined) warn(other)
  }
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
const withEditions = (served: ServedCluster, place: ServerRoot): ServedCluster => ({
  ...served,
  nodes: served.nodes.map((node) => withExports(node, listEditions(served.stateFolder, node.name, place))),
})

/** What a run that was killed has left, with the mounts in it. */
async function removeUnfinished(state: string, place: ServerRoot): Promise<void> {
  await clearLooks(state, place)
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
