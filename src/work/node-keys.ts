/** The cluster's key → what a plan may ask of it for one node. */
import type { NodeKeys } from '../customise/plan-boot.ts'
import type { ClusterKey } from '../secrets/cluster-key.ts'
import {
  clusterAuthority,
  joinKey,
  k3sToken,
  kubeadmToken,
  portainerPassword,
  sshHostKey,
} from '../secrets/identity.ts'

export const nodeKeys = (key: ClusterKey): NodeKeys => ({
  hostKey: (node) => sshHostKey(key, node),
  joinKey: (node) => joinKey(key, node),
  kubeadmToken: () => kubeadmToken(key),
  k3sToken: (purpose) => k3sToken(key, purpose),
  authority: () => clusterAuthority(key),
  portainerPassword: () => portainerPassword(key),
})
