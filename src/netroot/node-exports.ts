/** What a node may mount, and which images must be mounted for it: of the edition it gets next, and of those before. */
import { bareUuidOf } from '../uuid.ts'
import { type EditionRecord, isIsolated } from './edition.ts'
import { volumeImageAt } from './paths.ts'
import type { Export, ImageMount, ServedNode } from './served.ts'

/** The export's number follows from its path, so it is the same on every run. */
const exportOf = (folder: string, client: string, writable: boolean): Export => ({
  folder,
  client,
  writable,
  fsid: bareUuidOf(folder),
})

/**
 * Everything the node may mount: what it gets next, and what it may be running
 * on. Editions of an earlier piimage, on the server's own file system, are not
 * among it.
 *
 * @param editions one of them is that of the next boot
 */
export function withExports(served: ServedNode, editions: readonly EditionRecord[]): ServedNode {
  const { earlierOverlays: _, images: __, ...rest } = served
  const current = editions.find(({ bootFolder }) => bootFolder === served.bootFolder)
  if (current === undefined || !isIsolated(current)) return { ...rest, exports: [] }
  const earlier = editions.filter(isIsolated).filter(({ edition }) => edition !== current.edition)
  const all = [current, ...earlier]
  const overlays = earlier.flatMap(({ overlay }) => overlay ?? [])
  const volume = served.volumeFolder === undefined ? [] : [volumeImageAt(served.volumeFolder)]
  const roots = all.map(({ rootFolder, stateFolder, ip }) =>
    exportOf(rootFolder, ip, stateFolder === undefined),
  )
  const states = all.flatMap(({ stateFolder, ip }) =>
    stateFolder === undefined ? [] : [exportOf(stateFolder, ip, false)],
  )
  const clients = new Set(all.map(({ ip }) => ip))
  const volumes = volume.flatMap(({ folder }) => [...clients].map((ip) => exportOf(folder, ip, true)))
  return {
    ...rest,
    exports: uniqueBy([...roots, ...states, ...volumes], ({ folder, client }) => `${folder} ${client}`),
    images: uniqueBy([...all.flatMap(({ images }) => images), ...volume], ({ folder }) => folder),
    ...(overlays.length === 0 ? {} : { earlierOverlays: overlays }),
  }
}

function uniqueBy<T>(values: readonly T[], keyOf: (value: T) => string): T[] {
  return [...new Map(values.map((value) => [keyOf(value), value])).values()]
}

/** The images of the edition that the node gets next, and of its volume. */
export function imagesNow(node: ServedNode): ImageMount[] {
  const { rootFolder, overlay, stateFolder, volumeFolder, images = [] } = node
  const paths = [rootFolder, overlay?.lower, overlay?.upper, stateFolder, volumeFolder]
  return images.filter(({ folder }) => paths.some((path) => `${path}/`.startsWith(`${folder}/`)))
}
