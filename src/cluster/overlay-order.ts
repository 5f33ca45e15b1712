/**
 * Which overlays a node uses, and in which order they are applied: that of the
 * features, whatever the cluster file lists first. Overlays of one's own follow, in
 * the order they are listed.
 */
import type { Feature, NodeTraits } from './feature.ts'
import type { OverlayUse, Place } from './node.ts'
import type { Path } from './yaml-source.ts'

/** One mention of an overlay, defaults first, the node's own last. */
export interface OverlayMention {
  name: string
  /** false: taken away. */
  parameters: Record<string, unknown> | false
  path: Path
  /** Which part of the file at that path is its name: the key of `docker: {}`, the item `docker`. */
  part: 'key' | 'value'
}

export interface ListedOverlay {
  name: string
  parameters: Record<string, unknown>
  /** Its strongest mention; undefined: implied. */
  mention?: OverlayMention
}

/**
 * All overlays of a node: those listed and not taken away, those implied, in order.
 * Later parameters are merged over earlier ones, map by map.
 */
export function orderOverlays(
  mentions: readonly OverlayMention[],
  node: NodeTraits,
  features: readonly Feature[],
): ListedOverlay[] {
  const used = new Map<string, ListedOverlay>()
  const removed = new Set<string>()
  for (const mention of mentions) {
    const { name, parameters } = mention
    if (parameters === false) {
      used.delete(name)
      removed.add(name)
      continue
    }
    removed.delete(name)
    used.set(name, { name, parameters: mergeMaps(used.get(name)?.parameters ?? {}, parameters), mention })
  }
  const imply = (name: string): void => {
    if (removed.has(name)) return
    if (!used.has(name)) used.set(name, { name, parameters: {} })
  }
  for (const { name, implied, join } of features)
    if (join === undefined ? implied?.(node) : node.join === name) imply(name)
  // From the end: what is needed stands before what needs it.
  for (const { name, needs } of features.toReversed())
    if (used.has(name)) for (const need of needs ?? []) imply(need)

  const ordered = features.map(({ name }) => name)
  const own = [...used.values()].filter((use) => !ordered.includes(use.name))
  return [...ordered.flatMap((name) => used.get(name) ?? []), ...own]
}

export function placeOverlays(
  overlays: readonly ListedOverlay[],
  placeOf: (path: Path, part: 'key' | 'value') => Place,
): OverlayUse[] {
  return overlays.map(({ name, parameters, mention }) => ({
    name,
    parameters,
    place: mention === undefined ? undefined : placeOf(mention.path, mention.part),
  }))
}

type Values = Record<string, unknown>
const isMap = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Maps merged, everything else replaced. Built from entries, so that a key `__proto__` is only a key. */
function mergeMaps(under: Values, over: Values): Values {
  const merged = new Map(Object.entries(under))
  for (const [key, value] of Object.entries(over)) {
    const before = merged.get(key)
    merged.set(key, isMap(before) && isMap(value) ? mergeMaps(before, value) : value)
  }
  return Object.fromEntries(merged)
}
