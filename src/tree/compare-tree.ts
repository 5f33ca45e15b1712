/** How a folder differs from what a manifest says of it: drift. */
import type { Task } from '../progress.ts'
import type { TreeEntry, TreeManifest } from './manifest.ts'
import { formatTime } from './pax.ts'
import { readFolder } from './read-folder.ts'

export interface TreeDifference {
  path: string
  kind: 'missing' | 'extra' | 'changed'
  /** What changed, each as `mode 0644 → 0600`; empty for what is missing or extra. */
  changes: string[]
}

/**
 * In the order of a manifest; none when the folder is what was extracted.
 * Sockets aren't looked at: no program can put anything into one.
 *
 * @param folder all of it is read
 * @throws {DriveError} it can't be read
 */
export async function compareTree(
  manifest: TreeManifest,
  folder: string,
  task: Task,
): Promise<TreeDifference[]> {
  return diffTrees(manifest, await readFolder(folder, task))
}

/** Pure part of compareTree. */
export function diffTrees(expected: TreeManifest, actual: TreeManifest): TreeDifference[] {
  const found = new Map(actual.entries.map((entry) => [entry.path, entry]))
  const firstExpected = firstNames(expected)
  const firstActual = firstNames(actual)
  const differences: TreeDifference[] = []
  for (const entry of expected.entries) {
    if (entry.type === 'socket') continue
    const there = found.get(entry.path)
    found.delete(entry.path)
    if (there === undefined) {
      differences.push({ path: entry.path, kind: 'missing', changes: [] })
      continue
    }
    const changes = listChanges(entry, there)
    const links = [firstExpected.get(entry) ?? 'none', firstActual.get(there) ?? 'none'] as const
    if (links[0] !== links[1]) changes.push(`hard link of ${links.join(' → ')}`)
    if (changes.length > 0) differences.push({ path: entry.path, kind: 'changed', changes })
  }
  for (const { path } of found.values()) differences.push({ path, kind: 'extra', changes: [] })
  return differences
}

/** For each entry with several names in the tree, the first of them. */
function firstNames({ entries }: TreeManifest): Map<TreeEntry, string> {
  const first = new Map<number, string>()
  const names = new Map<TreeEntry, string>()
  for (const entry of entries) {
    if (entry.hardLink === undefined) continue
    const name = first.get(entry.hardLink) ?? entry.path
    first.set(entry.hardLink, name)
    names.set(entry, name)
  }
  return names
}

function listChanges(expected: TreeEntry, actual: TreeEntry): string[] {
  if (expected.type !== actual.type) return [`${expected.type} → ${actual.type}`]
  const [before, after] = [describe(expected), describe(actual)]
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names]
    .filter((name) => before[name] !== after[name])
    .map((name) => `${name} ${before[name] ?? 'none'} → ${after[name] ?? 'none'}`)
}

function describe(entry: TreeEntry): Record<string, string | undefined> {
  const { type, mode, uid, gid, mtime, size, sha256, target, rdev, xattrs } = entry
  return {
    // Links have no mode of their own.
    mode: type === 'symlink' ? undefined : mode.toString(8).padStart(4, '0'),
    owner: `${uid}:${gid}`,
    time: formatTime(mtime),
    size: String(size),
    sha256,
    target,
    device: rdev === undefined ? undefined : `${rdev.major}:${rdev.minor}`,
    ...xattrs,
  }
}
