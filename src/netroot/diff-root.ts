/** What a node has done to its root since it was laid out: files and links; folders only when they are gone. */
import { lstatSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Task } from '../progress.ts'
import { diffTrees } from '../tree/compare-tree.ts'
import { parseManifest } from '../tree/manifest-text.ts'
import { readFolder } from '../tree/read-folder.ts'
import { listForeign } from './foreign-tree.ts'
import { withImages } from './fs-image.ts'
import { imagesNow } from './node-exports.ts'
import { isUntouched, readOwnFiles } from './own-files.ts'
import { generationFolder } from './paths.ts'
import type { ServedNode } from './served.ts'
import { at, type ServerRoot } from './server-root.ts'

export interface RootChange {
  /** From the root, with a slash in front. */
  path: string
  kind: 'new' | 'changed' | 'gone'
}

/** By path. A shared root has none. */
export function diffRoot(
  node: ServedNode,
  state: string,
  place: ServerRoot,
  task: Task,
): Promise<RootChange[]> {
  const { overlay, rootFolder, stateFolder } = node
  return withImages(imagesNow(node), state, place, async (here) => {
    if (stateFolder !== undefined) return []
    const own = readOwnFiles(at(place, dirname(node.bootFolder)))
    const root = here(overlay?.upper ?? rootFolder)
    const changes =
      overlay === undefined
        ? await compareRoot(node, root, state, place, task)
        : await readUpper(root, here(overlay.lower), task.signal)
    const theirs: RootChange[] = []
    for (const change of changes) if (!(await isUntouched(own, change.path, root))) theirs.push(change)
    return theirs.sort((a, b) => (a.path < b.path ? -1 : 1))
  })
}

/** More files than these are no list that somebody reads. */
const MOST_CHANGES = 100_000

async function compareRoot(
  node: ServedNode,
  root: string,
  state: string,
  place: ServerRoot,
  task: Task,
): Promise<RootChange[]> {
  const file = join(at(place, generationFolder(state, node.generation)), 'root.manifest')
  const manifest = parseManifest(readFileSync(file, 'utf8'), file)
  const before = new Map(manifest.entries.map((entry) => [entry.path, entry]))
  const most = manifest.entries.length + MOST_CHANGES
  const actual = await readFolder(root, task, { foreign: { sizeOf: (path) => before.get(path)?.size, most } })
  const now = new Map(actual.entries.map((entry) => [entry.path, entry]))
  return diffTrees(manifest, actual).flatMap(({ path, kind, changes }): RootChange[] => {
    const full = `/${path}`
    if (kind === 'missing') return [{ path: full, kind: 'gone' }]
    if (kind === 'extra') return now.get(path)?.type === 'directory' ? [] : [{ path: full, kind: 'new' }]
    const real = changes.filter((change) => !change.startsWith('time '))
    const isFolder = before.get(path)?.type === 'directory' && now.get(path)?.type === 'directory'
    return isFolder || real.length === 0 ? [] : [{ path: full, kind: 'changed' }]
  })
}

/** An overlay's upper folder holds just the changes; a device 0:0 stands for what was removed. */
async function readUpper(upper: string, lower: string, signal: AbortSignal): Promise<RootChange[]> {
  const entries = await listForeign(upper, MOST_CHANGES, signal)
  return entries.map(({ path, stat }) => {
    if (stat.isCharacterDevice() && stat.rdev === 0) return { path, kind: 'gone' }
    const was = lstatSync(join(lower, path), { throwIfNoEntry: false })
    return { path, kind: was === undefined ? 'new' : 'changed' }
  })
}
