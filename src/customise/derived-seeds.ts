/** What is derived from a cluster's key, for whoever looks for it in bytes. */
import type { Cluster } from '../cluster/node.ts'
import { features } from '../features/index.ts'
import { purposes } from '../secrets/derive.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'

/** The first bytes of a secret's stream: what is derived shorter begins the same way (HKDF). */
const DERIVED_BYTES = 16

/** One for each purpose and node, and for each purpose of the whole cluster. */
export function derivedSeeds(cluster: Cluster, keys: NodeKeys): Uint8Array[] {
  const names = ['', ...cluster.nodes.map(({ name }) => name)]
  const all = [purposes, ...features.map((feature) => feature.purposes ?? {})].flatMap(Object.keys)
  return all.flatMap((purpose) => names.map((name) => keys.derive(purpose, name, DERIVED_BYTES)))
}
