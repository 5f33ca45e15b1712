/** The cluster's key, as far as a plan may ask of it: nothing is derived unless an overlay wants it. */
import type { ClusterKey } from './cluster-key.ts'
import { derive } from './derive.ts'
import type { SshKeyPair } from './ed25519-key.ts'
import { sshHostKey } from './identity.ts'

export type HostKey = Pick<SshKeyPair, 'privateKey' | 'publicLine'>

export interface NodeKeys {
  hostKey(node: string): HostKey
  /**
   * @param purpose of a feature's own; see src/cluster/feature.ts
   * @param subject a node's name, or '' for the whole cluster
   * @param length bytes, 1–8160
   */
  derive(purpose: string, subject: string, length: number): Buffer
}

export const nodeKeys = (key: ClusterKey): NodeKeys => ({
  hostKey: (node) => sshHostKey(key, node),
  derive: (purpose, subject, length) => derive(key, purpose, subject, length),
})
