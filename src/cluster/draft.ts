/**
 * Nodes as the cluster file describes them: defaults, groups and node merged,
 * each value with the path where it was said.
 *
 * A draft may be wrong; lint.ts judges it, and resolve.ts turns it into a Node
 * once nothing is wrong. Nothing is read from disk here.
 */
import { boards } from './boards.ts'
import type { NodeTraits } from './feature.ts'
import type { ClusterFile, SharedSettings } from './file-shape.ts'
import { type Interfaces, planInterfaces } from './interfaces.ts'
import type { ImageNames, ParseOptions } from './judge.ts'
import { hasMap, type Layer, ownOf, pick } from './layers.ts'
import type { ClusterHat } from './node.ts'
import { type ListedOverlay, type OverlayMention, orderOverlays } from './overlay-order.ts'
import type { Path } from './yaml-source.ts'

export interface Draft {
  name: string
  path: Path
  groups: string[]
  /** Weakest first. */
  layers: Layer[]
  role: 'head' | 'manager' | 'worker'
  hat: ClusterHat | undefined
  interfaces: Interfaces
  overlays: ListedOverlay[]
  /** Every mention, for messages about names. */
  mentions: OverlayMention[]
}

/** Every node of the file, in the order given. */
export function draftNodes(
  file: ClusterFile,
  names: readonly string[],
  options: Pick<ParseOptions, 'features' | 'images'>,
): Draft[] {
  const controllerBridges = names.some((name) => ownOf(file.nodes, name)?.clusterhat === 'cbridge')
  return names.map((name) => draftNode(file, name, controllerBridges, options))
}

function draftNode(
  file: ClusterFile,
  name: string,
  controllerBridges: boolean,
  { features, images }: Pick<ParseOptions, 'features' | 'images'>,
): Draft {
  const path = ['nodes', name]
  const node = ownOf(file.nodes, name) ?? {}
  const groups = [node.group, ...(node.groups ?? [])].filter((group) => group !== undefined)
  const layers: Layer[] = [{ settings: sharedOf(file), path: [] }]
  for (const group of groups) {
    const settings = ownOf(file.groups, group)
    if (settings !== undefined) layers.push({ settings, path: ['groups', group] })
  }
  layers.push({ settings: node, path })
  if (images !== undefined) nameImages(layers, images)

  const said = pick({ layers }, 'role')?.value
  const role = file.join?.head === name ? 'head' : (said ?? 'worker')
  const hat = parseClusterHat(node.clusterhat)
  const base = { name, path, groups, layers, role, hat }
  const interfaces = planInterfaces(base, file.network, controllerBridges)
  const mentions = layers.flatMap(mentionsOf)
  const traits: NodeTraits = {
    user: hasMap(base, 'user'),
    wifi: hasMap(base, 'wifi'),
    locale: hasMap(base, 'locale'),
    staticAddress: interfaces.some((one) => one.address !== undefined),
    router: node.router !== undefined,
    join: file.join?.kind ?? 'none',
  }
  const overlays = orderOverlays(mentions, traits, features)
  return { ...base, interfaces, mentions, overlays }
}

/** Put keys in the place of names without a version; a node without an image gets the newest it runs. */
function nameImages(layers: Layer[], images: ImageNames): void {
  for (const layer of layers) {
    const { image } = layer.settings
    if (image !== undefined && !image.includes('@'))
      layer.settings = { ...layer.settings, image: images.newestNamed(image) ?? image }
  }
  const model = pick({ layers }, 'model')?.value
  if (model === undefined || pick({ layers }, 'image') !== undefined) return
  const image = images.newestFor(boards[model]?.kernel.arm64 === undefined ? 'armhf' : 'arm64')
  if (image !== undefined) layers.unshift({ settings: { image }, path: [] })
}

/** The settings at the top that nodes share; the rest of the file is about the cluster. */
function sharedOf(file: ClusterFile): SharedSettings {
  const { $schema, cluster, network, join, netroot, groups, nodes, ...shared } = file
  return shared
}

function mentionsOf({ settings, path }: Layer): OverlayMention[] {
  return (settings.overlays ?? []).flatMap((entry, index): OverlayMention[] => {
    const at = [...path, 'overlays', index]
    if (entry === undefined) return []
    if (typeof entry === 'string') return [{ name: entry, parameters: {}, path: at, part: 'value' }]
    return Object.entries(entry).map(([name, parameters]) => ({
      name,
      parameters: parameters ?? {},
      path: [...at, name],
      part: 'key',
    }))
  })
}

function parseClusterHat(text: string | undefined): ClusterHat | undefined {
  if (text === undefined) return undefined
  if (text === 'cnat' || text === 'cbridge') return { role: text }
  return { role: 'slot', slot: Number(text.slice(1)) }
}

/** The node that the others join, if there is one. */
export const headDraft = (drafts: readonly Draft[]): Draft | undefined =>
  drafts.find(({ role }) => role === 'head')
