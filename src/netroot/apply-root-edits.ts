/**
 * Edits onto a root file system that lies in a folder of this machine: a copy,
 * a clone, or a mounted overlay.
 *
 * The tree comes from an image and may hold links to anywhere, so no link is
 * ever followed: one in the middle of a path is an error, one at its end is
 * replaced. Times are those given, so that the same edits give the same tree.
 */
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { NetrootError } from '../errors.ts'
import type { RootEdit } from '../systems/root/root-edit.ts'

/** @throws {NetrootError} a path leads through something that is no folder */
export function applyRootEdits(root: string, edits: readonly RootEdit[], modified: Date): void {
  const touched = new Set<string>()
  for (const edit of edits) {
    const path = join(root, edit.path)
    const there = lstatSync(path, { throwIfNoEntry: false })
    if (edit.kind === 'remove') {
      if (there === undefined) continue
      checkFolders(root, dirname(edit.path))
      rmSync(path)
      touched.add(dirname(path))
      continue
    }
    for (const made of makeFolders(root, dirname(edit.path))) touched.add(made)
    touched.add(dirname(path))
    if (edit.kind === 'folder') {
      if (there?.isDirectory()) continue
      make(path, edit.mode)
      touched.add(path)
      continue
    }
    if (there?.isDirectory()) throw new NetrootError(`${edit.path} is a folder in this image`)
    if (there !== undefined) rmSync(path)
    if (edit.kind === 'link') {
      symlinkSync(edit.target, path)
      if (isRoot()) lchownSync(path, 0, 0)
    } else {
      writeFileSync(path, edit.content, { flag: 'wx', mode: 0o600 })
      own(path)
      chmodSync(path, edit.mode)
    }
    lutimesSync(path, modified, modified)
  }
  for (const path of touched) lutimesSync(path, modified, modified)
}

const isRoot = (): boolean => process.getuid?.() === 0

/** Not root's: whoever lays the tree out for a look keeps it. */
function own(path: string): void {
  if (isRoot()) chownSync(path, 0, 0)
}

function make(path: string, mode: number): void {
  mkdirSync(path)
  own(path)
  chmodSync(path, mode)
}

/** @returns those that were not there, and the one above the first of them */
function makeFolders(root: string, path: string): string[] {
  const made: string[] = []
  let folder = root
  for (const name of path.split('/').filter((part) => part !== '')) {
    const above = folder
    folder = join(folder, name)
    const there = lstatSync(folder, { throwIfNoEntry: false })
    if (there?.isDirectory()) continue
    if (there !== undefined) throw notAFolder(folder.slice(root.length))
    if (made.length === 0) made.push(above)
    make(folder, 0o755)
    made.push(folder)
  }
  return made
}

function checkFolders(root: string, path: string): void {
  let folder = root
  for (const name of path.split('/').filter((part) => part !== '')) {
    folder = join(folder, name)
    if (!lstatSync(folder).isDirectory()) throw notAFolder(folder.slice(root.length))
  }
}

const notAFolder = (path: string): NetrootError =>
  new NetrootError(`${path} is not a folder in this image`, {
    hint: 'A link there could lead out of the tree, so nothing is written through it.',
  })
