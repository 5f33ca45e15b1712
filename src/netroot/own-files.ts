/** What piimage itself put into a node's root, by path: so that a diff shows only what the node did. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { formatState, readState } from '../io/state-file.ts'
import type { RootEdit } from '../systems/root/root-edit.ts'
import { MiB } from '../units.ts'
import { readForeignFile, readForeignLink, statForeign } from './foreign-tree.ts'
import { ownFilesFormat } from './state-formats.ts'

/** Path → digest of a file, target of a link, or `gone`. */
export type OwnFiles = Record<string, string>

const NAME = 'own.json'

export const writeOwnFiles = (folder: string, edits: readonly RootEdit[]): void =>
  writeFileSync(join(folder, NAME), formatState(ownFilesFormat, { files: ownFiles(edits) }), { mode: 0o600 })

/** @throws {NetrootError} the list is damaged */
export const readOwnFiles = (folder: string): OwnFiles =>
  readState<{ files: OwnFiles }>(ownFilesFormat, join(folder, NAME))?.files ?? {}

function ownFiles(edits: readonly RootEdit[]): OwnFiles {
  const files: OwnFiles = {}
  for (const edit of edits) {
    if (edit.kind === 'file') files[edit.path] = sha256(edit.content)
    else if (edit.kind === 'link') files[edit.path] = edit.target
    else if (edit.kind === 'remove') files[edit.path] = 'gone'
  }
  return files
}

/** Larger than anything that piimage puts into a root. */
const LARGEST = 16 * MiB

/** Whether what lies there is still what piimage put there. @param root of the node, which owns what is in it */
export async function isUntouched(own: OwnFiles, path: string, root: string): Promise<boolean> {
  const expected = own[path]
  if (expected === undefined) return false
  const there = await statForeign(root, path)
  if (there === undefined || there.isCharacterDevice()) return expected === 'gone'
  if (there.isSymbolicLink()) return (await readForeignLink(root, path)) === expected
  const content = await readForeignFile(root, path, LARGEST)
  return content !== undefined && sha256(content) === expected
}
