/** The cluster's key → what a plan may ask of it for one node. */
import type { HostKey } from '../../customise/edits.ts'
import type { NodeKeys } from '../../customise/plan-boot.ts'
import type { ClusterKey } from '../../secrets/cluster-key.ts'
import { sshHostKey } from '../../secrets/identity.ts'

/** Every node has a host key here; only a release is planned without. */
export interface ClusterKeys extends NodeKeys {
  hostKey(node: string): HostKey
}

export const nodeKeys = (key: ClusterKey): ClusterKeys => ({
  hostKey: (node) => sshHostKey(key, node),
})
