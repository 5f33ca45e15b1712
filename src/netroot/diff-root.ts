/** What a node has done to its root since it was laid out: files and links; folders only when they are gone. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Task } from '../progress.ts'
import { compareTree } from '../tree/compare-tree.ts'
import { parseManifest } from '../tree/manifest-text.ts'
import { withImages } from './fs-image.ts'
import { imagesNow } from './node-exports.ts'
import { isUntouched, readOwnFiles } from './own-files.ts'
import { generationFolder } from './paths.ts'
import { at, type Place } from './place.ts'
import type { ServedNode } from './served.ts'

export interface RootChange {
  /** From the root, with a slash in front. */
  path: string
  kind: 'new' | 'changed' | 'gone'
}

/** By path. A shared root has none. */
export function diffRoot(node: ServedNode, state: string, place: Place, task: Task): Promise<RootChange[]> {
  const { overlay, rootFolder, stateFolder } = node
  return withImages(imagesNow(node), state, place, async (here) => {
    if (stateFolder !== undefined) return []
    const own = readOwnFiles(at(place, dirname(node.bootFolder)))
    const changes =
      overlay === undefined
        ? await compareRoot(node, here(rootFolder), state, place, task)
        : readUpper(here(overlay.upper), here(overlay.lower))
    const root = here(overlay?.upper ?? rootFolder)
    return changes
      .filter(({ path }) => !isUntouched(own, path, join(root, path)))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  })
}

async function compareRoot(
  node: ServedNode,
  root: string,
  state: string,
  place: Place,
  task: Task,
): Promise<RootChange[]> {
  const file = join(at(place, generationFolder(state, node.generation)), 'root.manifest')
  const manifest = parseManifest(readFileSync(file, 'utf8'), file)
  const folders = new Set(manifest.entries.filter(({ type }) => type === 'directory').map(({ path }) => path))
  const differences = await compareTree(manifest, root, task)
  return differences.flatMap(({ path, kind, changes }): RootChange[] => {
    const full = `/${path}`
    if (kind === 'missing') return [{ path: full, kind: 'gone' }]
    if (kind === 'extra')
      return lstatSync(join(root, path)).isDirectory() ? [] : [{ path: full, kind: 'new' }]
    const real = changes.filter((change) => !change.startsWith('time '))
    return folders.has(path) || real.length === 0 ? [] : [{ path: full, kind: 'changed' }]
  })
}

/** An overlay's upper folder holds just the changes; a device 0:0 stands for what was removed. */
function* upperFiles(upper: string, below: string): Generator<string> {
  for (const entry of readdirSync(join(upper, below), { withFileTypes: true })) {
    const path = `${below}/${entry.name}`
    if (entry.isDirectory()) yield* upperFiles(upper, path)
    else yield path
  }
}

function readUpper(upper: string, lower: string): RootChange[] {
  return [...upperFiles(upper, '')].map((path) => {
    const entry = lstatSync(join(upper, path))
    if (entry.isCharacterDevice() && entry.rdev === 0) return { path, kind: 'gone' }
    const was = lstatSync(join(lower, path), { throwIfNoEntry: false })
    return { path, kind: was === undefined ? 'new' : 'changed' }
  })
}
