/** A text that is generated for a node from the whole cluster and its key; see artifacts.ts. */
import type { Cluster, Node } from '../cluster/node.ts'
import type { Secret } from '../secret.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'

export interface ArtifactRow {
  name: string
  meaning: string
  /** A Secret, or a text that everybody may read; with its line ends. */
  of: (subject: { node: Node; cluster: Cluster }, keys: NodeKeys) => Secret | string
}
