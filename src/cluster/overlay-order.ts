/**
 * Which overlays a node uses, and in which order they are applied.
 *
 * The order is that of the table, whatever the cluster file lists first: a node
 * needs its name before its user, a network before Docker, Docker before what
 * joins it. Overlays of one's own follow, in the order they are listed. Raw
 * cloud-init data comes last of the shipped ones, so that it has the last word.
 */
import type { OverlayUse, Place } from './node.ts'
import type { Path } from './yaml-source.ts'

/** What an implied overlay depends on. */
export interface NodeTraits {
  user: boolean
  wifi: boolean
  locale: boolean
  staticAddress: boolean
  router: boolean
  join: 'swarm' | 'kubeadm' | 'k3s' | 'none'
}

interface Row {
  name: string
  /** Used without being listed. */
  when?: (node: NodeTraits) => boolean
  /** Overlays it can't do without. */
  needs?: readonly string[]
}

const table: readonly Row[] = [
  { name: 'hostname', when: () => true },
  { name: 'user', when: (node) => node.user },
  { name: 'ssh' },
  { name: 'locale', when: (node) => node.locale },
  { name: 'static-network', when: (node) => node.staticAddress },
  { name: 'wifi', when: (node) => node.wifi },
  { name: 'gpu-mem' },
  { name: 'usb-gadget' },
  { name: 'cgroups' },
  { name: 'router', when: (node) => node.router },
  { name: 'docker', needs: ['cgroups'] },
  { name: 'swarm', when: (node) => node.join === 'swarm', needs: ['docker'] },
  { name: 'kubeadm', when: (node) => node.join === 'kubeadm', needs: ['cgroups'] },
  { name: 'k3s', when: (node) => node.join === 'k3s', needs: ['cgroups'] },
  { name: 'portainer', needs: ['docker'] },
  { name: 'cloud-init' },
]

/** The overlays whose place in the order is fixed. */
export const orderedOverlays = table.map((row) => row.name)

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
export function orderOverlays(mentions: readonly OverlayMention[], node: NodeTraits): ListedOverlay[] {
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
  for (const row of table) if (row.when?.(node)) imply(row.name)
  // From the end: what is needed stands before what needs it.
  for (const row of table.toReversed())
    if (used.has(row.name)) for (const name of row.needs ?? []) imply(name)

  const own = [...used.values()].filter((use) => !orderedOverlays.includes(use.name))
  return [...orderedOverlays.flatMap((name) => used.get(name) ?? []), ...own]
}

export function placeOverlays(
  overlays: readonly ListedOverlay[],
  placeOf: (path: Path, part: 'key' | 'value') => Place,
): OverlayUse[] {
  return overlays.map(({ name, parameters, mention }) => ({
    name,
    parameters,
    ...(mention === undefined ? {} : { place: placeOf(mention.path, mention.part) }),
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
