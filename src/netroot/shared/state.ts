/** A node's edits as the upper folder of its overlay, in an archive. */
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import type { RootEdit } from '../../systems/root/root-edit.ts'
import { type CpioEntry, FILE, FOLDER, formatCpio, LINK, WHITEOUT } from './cpio.ts'

/**
 * @param lower the shared root, as it lies here: folders of the archive get its rights
 */
export function stateArchive(lower: string, edits: readonly RootEdit[], modified: Date): Buffer {
  const entries = new Map<string, CpioEntry>()
  const addFolder = (path: string, mode: number) => {
    const there = lstatSync(join(lower, path), { throwIfNoEntry: false })
    const known = there?.isDirectory() ? there.mode & 0o7777 : mode
    if (!entries.has(path)) entries.set(path, { path, mode: FOLDER + known })
  }
  for (const edit of edits) {
    const path = edit.path.slice(1)
    const names = path.split('/').slice(0, -1)
    for (const [index] of names.entries()) addFolder(names.slice(0, index + 1).join('/'), 0o755)
    if (edit.kind === 'folder') addFolder(path, edit.mode)
    else if (edit.kind === 'file') entries.set(path, { path, mode: FILE + edit.mode, content: edit.content })
    else if (edit.kind === 'link')
      entries.set(path, { path, mode: LINK + 0o777, content: new TextEncoder().encode(edit.target) })
    else if (lstatSync(join(lower, path), { throwIfNoEntry: false }) !== undefined)
      entries.set(path, { path, mode: WHITEOUT })
  }
  return formatCpio([...entries.values()], Math.floor(modified.getTime() / 1000))
}
