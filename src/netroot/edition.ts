/**
 * An edition: a node's own boot tree and root over one generation, and the
 * small file that says what they are. Its name is the generation's and a digest
 * of the node's edits: another setting in the cluster file is another edition,
 * and the same one is never made twice.
 */
import { createHash } from 'node:crypto'
import type { RootMode } from '../cluster/root-modes.ts'
import type { RootEdit } from '../systems/root/root-edit.ts'
import type { BootTree } from './boot-tree.ts'
import { baseImage, editionFolder } from './paths.ts'
import { rootWays } from './root-modes/ways.ts'
import type { ImageMount, OverlayMount } from './served.ts'

/** `edition.json`. */
export interface EditionRecord {
  node: string
  edition: string
  generation: string
  /** Key in images.lock.json. */
  image: string
  rootMode: RootMode
  /** The node's address while it runs on it. Missing as `images` are. */
  ip?: string
  bootFolder: string
  /** What the node mounts. */
  rootFolder: string
  overlay?: OverlayMount
  /** Of a shared root: the folder with the node's own files. */
  stateFolder?: string
  /**
   * What must be mounted, in this order. Missing: laid out by an earlier
   * piimage, in folders of the server's own file system; it is served no more,
   * because such an export keeps nobody inside.
   */
  images?: ImageMount[]
}

/** One that can be served: each file system in it is the node's own, or a base that holds no secret. */
export type IsolatedEdition = EditionRecord & Required<Pick<EditionRecord, 'ip' | 'images'>>

export const isIsolated = (record: EditionRecord): record is IsolatedEdition =>
  record.images !== undefined && record.ip !== undefined

/** Where an edition's root lies, by how it is made. */
export function editionRecord(
  state: string,
  facts: Pick<IsolatedEdition, 'node' | 'edition' | 'generation' | 'image' | 'rootMode' | 'ip'>,
): IsolatedEdition {
  const own = editionFolder(state, facts.node, facts.edition)
  const places = rootWays[facts.rootMode].place(baseImage(state, facts.generation), `${own}/private`)
  return { ...facts, bootFolder: `${own}/boot`, ...places }
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
