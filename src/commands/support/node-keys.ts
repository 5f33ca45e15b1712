/** The cluster's key → what a plan may ask of it for one node. */
import type { NodeKeys } from '../../customise/plan-boot.ts'
import type { ClusterKey } from '../../secrets/cluster-key.ts'
import { sshHostKey } from '../../secrets/identity.ts'

export const nodeKeys = (key: ClusterKey): NodeKeys => ({
  hostKey: (node) => sshHostKey(key, node),
})
