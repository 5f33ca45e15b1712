/**
 * Whether git keeps a file: asked of its index, which is read here. Running git in a folder that may be a
 * stranger's would run what its configuration names.
 *
 * Source: git's documentation, gitformat-index (versions 2 to 4).
 */
import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { readInput, readInputText } from '../io/input-file.ts'
import { KiB, MiB } from '../units.ts'

/** Of some hundred thousand files. */
const LONGEST_INDEX = 64 * MiB
/** Stat data, mode, owner, size and object name (SHA-1), before the flags. */
const FIXED_BYTES = 60

/** @returns false, too, where there is no repository, or one that isn't read here: damaged, or with names of SHA-256 */
export function isInGit(path: string): boolean {
  try {
    const root = repositoryOf(dirname(resolve(path)))
    if (root === undefined) return false
    const { bytes } = readInput(join(gitFolder(root), 'index'), LONGEST_INDEX)
    return namesIn(bytes).has(relative(root, resolve(path)).split(sep).join('/'))
  } catch {
    return false
  }
}

function repositoryOf(folder: string): string | undefined {
  if (existsSync(join(folder, '.git'))) return folder
  return dirname(folder) === folder ? undefined : repositoryOf(dirname(folder))
}

/** A worktree and a submodule have a file that says where. */
function gitFolder(root: string): string {
  const path = join(root, '.git')
  if (statSync(path).isDirectory()) return path
  return resolve(
    root,
    readInputText(path, 4 * KiB)
      .replace(/^gitdir: /, '')
      .trim(),
  )
}

function namesIn(index: Buffer): Set<string> {
  const names = new Set<string>()
  const version = index.readUInt32BE(4)
  if (index.toString('latin1', 0, 4) !== 'DIRC' || version < 2 || version > 4) return names
  let at = 12
  let name = Buffer.alloc(0)
  for (let left = index.readUInt32BE(8); left > 0; left -= 1) {
    const start = at
    const isExtended = (index.readUInt16BE(at + FIXED_BYTES) & 0x4000) !== 0
    at += FIXED_BYTES + (isExtended ? 4 : 2)
    let kept = 0
    if (version === 4) {
      const strip = readOffset(index, at)
      at = strip.end
      kept = name.length - strip.value
    }
    const end = index.indexOf(0, at)
    if (end < 0) return names
    name = Buffer.concat([name.subarray(0, kept), index.subarray(at, end)])
    names.add(name.toString())
    at = version === 4 ? end + 1 : start + (Math.floor((end - start) / 8) + 1) * 8
  }
  return names
}

/** The variable-length number of a pack's offsets. */
function readOffset(bytes: Buffer, at: number): { value: number; end: number } {
  let byte = bytes[at] ?? 0
  let value = byte & 0x7f
  let end = at + 1
  while ((byte & 0x80) !== 0 && end < at + 6) {
    byte = bytes[end] ?? 0
    value = (value + 1) * 128 + (byte & 0x7f)
    end += 1
  }
  return { value, end }
}
