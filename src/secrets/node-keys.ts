/** The cluster's key, as far as a plan may ask of it: nothing is derived unless an overlay wants it. */
import type { Secret } from '../secret.ts'
import type { CertificateAuthority } from './certificate-authority.ts'
import type { ClusterKey } from './cluster-key.ts'
import type { SshKeyPair } from './ed25519-key.ts'
import {
  clusterAuthority,
  joinKey,
  k3sToken,
  kubeadmToken,
  portainerPassword,
  sshHostKey,
} from './identity.ts'

export type HostKey = Pick<SshKeyPair, 'privateKey' | 'publicLine'>

export interface NodeKeys {
  hostKey(node: string): HostKey
  /** With it a worker fetches its join token. */
  joinKey(node: string): HostKey
  kubeadmToken(): Secret
  k3sToken(purpose: 'k3s-token' | 'k3s-agent-token'): Secret
  authority(): CertificateAuthority
  portainerPassword(): Secret
}

export const nodeKeys = (key: ClusterKey): NodeKeys => ({
  hostKey: (node) => sshHostKey(key, node),
  joinKey: (node) => joinKey(key, node),
  kubeadmToken: () => kubeadmToken(key),
  k3sToken: (purpose) => k3sToken(key, purpose),
  authority: () => clusterAuthority(key),
  portainerPassword: () => portainerPassword(key),
})
