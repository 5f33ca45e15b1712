/** What piimage itself put into a node's root, by path: so that a diff shows only what the node did. */
import { existsSync, lstatSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import type { RootEdit } from '../systems/root/root-edit.ts'

/** Path → digest of a file, target of a link, or `gone`. */
export type OwnFiles = Record<string, string>

const NAME = 'own.json'

export const writeOwnFiles = (folder: string, edits: readonly RootEdit[]): void =>
  writeFileSync(join(folder, NAME), `${JSON.stringify(ownFiles(edits), null, 1)}\n`, { mode: 0o600 })

export function readOwnFiles(folder: string): OwnFiles {
  const path = join(folder, NAME)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
}

function ownFiles(edits: readonly RootEdit[]): OwnFiles {
  const files: OwnFiles = {}
  for (const edit of edits) {
    if (edit.kind === 'file') files[edit.path] = digestOf(edit.content)
    else if (edit.kind === 'link') files[edit.path] = edit.target
    else if (edit.kind === 'remove') files[edit.path] = 'gone'
  }
  return files
}

/** Whether what lies there is still what piimage put there. */
export function isUntouched(own: OwnFiles, path: string, here: string): boolean {
  const expected = own[path]
  if (expected === undefined) return false
  const there = lstatSync(here, { throwIfNoEntry: false })
  if (there === undefined || there.isCharacterDevice()) return expected === 'gone'
  if (there.isSymbolicLink()) return readlinkSync(here) === expected
  return there.isFile() && digestOf(readFileSync(here)) === expected
}

const digestOf = (content: Uint8Array): string => sha256(content)
