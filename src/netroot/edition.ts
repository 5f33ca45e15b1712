/**
 * An edition: a node's own boot tree and root over one generation, and the
 * small file that says what they are. Its name is the generation's and a digest
 * of the node's edits: another setting in the cluster file is another edition,
 * and the same one is never made twice.
 */
import { createHash } from 'node:crypto'
import type { RootEdit } from '../systems/root/root-edit.ts'
import { formatUuid } from '../uuid.ts'
import type { BootTree } from './boot-tree.ts'
import { editionFolder, generationFolder } from './paths.ts'
import type { Export, OverlayMount, RootMode } from './served.ts'

/** `edition.json`. */
export interface EditionRecord {
  node: string
  edition: string
  generation: string
  /** Key in images.lock.json. */
  image: string
  rootMode: RootMode
  bootFolder: string
  /** What the node mounts. */
  rootFolder: string
  overlay?: OverlayMount
  /** Of a shared root: the folder with the node's own files. */
  stateFolder?: string
}

/** Where an edition's root lies, by how it is made. */
export function editionRecord(
  state: string,
  facts: Pick<EditionRecord, 'node' | 'edition' | 'generation' | 'image' | 'rootMode'>,
): EditionRecord {
  const own = editionFolder(state, facts.node, facts.edition)
  const lower = `${generationFolder(state, facts.generation)}/root`
  const bootFolder = `${own}/boot`
  if (facts.rootMode === 'shared')
    return { ...facts, bootFolder, rootFolder: lower, stateFolder: `${own}/private/state` }
  if (facts.rootMode !== 'overlay') return { ...facts, bootFolder, rootFolder: `${own}/private/root` }
  const inner = `${own}/private`
  const overlay = { lower, upper: `${inner}/upper`, work: `${inner}/work`, merged: `${inner}/merged` }
  return { ...facts, bootFolder, rootFolder: overlay.merged, overlay }
}

/** Changes whenever anything does that the node would see. */
export function digestOfEdits(rootMode: RootMode, boot: BootTree, root: readonly RootEdit[]): string {
  const digest = createHash('sha256').update(`${rootMode}\0`)
  for (const path of [...boot.without].sort()) digest.update(`-${path}\0`)
  for (const [path, content] of [...boot.files].sort(([a], [b]) => (a < b ? -1 : 1)))
    digest.update(`${path}\0${content.length}\0`).update(content)
  for (const edit of root) {
    const { kind, path } = edit
    digest.update(`${kind}\0${path}\0${'mode' in edit ? edit.mode : ''}\0`)
    if (kind === 'link') digest.update(`${edit.target}\0`)
    if (kind === 'file') digest.update(`${edit.content.length}\0`).update(edit.content)
  }
  return digest.digest('hex').slice(0, 8)
}

/** The export of a node's root or volume; its number follows from its path, so it is the same on every run. */
export const exportOf = (folder: string, client: string, writable: boolean): Export => ({
  folder,
  client,
  writable,
  fsid: formatUuid(createHash('sha256').update(folder).digest()),
})
