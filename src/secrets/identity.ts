/**
 * What makes one node itself, and what a cluster's nodes share before they meet:
 * each value derived from the cluster key, so a card made again is the same node.
 */
import { Secret } from '../secret.ts'
import { type CertificateAuthority, makeCertificateAuthority } from './certificate-authority.ts'
import type { ClusterKey } from './cluster-key.ts'
import { derive, type Purpose } from './derive.ts'
import { makeEd25519Key, type SshKeyPair, seedBytes } from './ed25519-key.ts'
import { p256SeedBytes } from './p256.ts'

/** The node's SSH host key. */
export const sshHostKey = (key: ClusterKey, node: string): SshKeyPair =>
  makeEd25519Key(derive(key, 'ssh-host-key', node, seedBytes), `root@${node}`)

/** The key with which a worker fetches its join token from the head. */
export const joinKey = (key: ClusterKey, node: string): SshKeyPair =>
  makeEd25519Key(derive(key, 'join-key', node, seedBytes), `piimage-join:${node}`)

/** 32 hex digits for /etc/machine-id: a version 4 UUID without dashes, as machine-id(5) asks. */
export const machineId = (key: ClusterKey, node: string): string =>
  uuidFrom(derive(key, 'machine-id', node, 16)).replaceAll('-', '')

/** cloud-init's instance-id; another one makes cloud-init start over. */
export const instanceId = (key: ClusterKey, node: string): string =>
  `piimage-${uuidFrom(derive(key, 'instance-id', node, 16))}`

/** The uuid of a node's NetworkManager connection. */
export const connectionUuid = (key: ClusterKey, node: string, interfaceName: string): string =>
  uuidFrom(derive(key, 'connection-uuid', `${node}/${interfaceName}`, 16))

/** kubeadm's bootstrap token: `[a-z0-9]{6}.[a-z0-9]{16}`. */
export const kubeadmToken = (key: ClusterKey): Secret => {
  const text = characters(key, 'kubeadm-token', 'abcdefghijklmnopqrstuvwxyz0123456789', 22)
  return new Secret(`${text.slice(0, 6)}.${text.slice(6)}`)
}

/** k3s server and agent tokens: 64 hex digits. */
export const k3sToken = (key: ClusterKey, purpose: 'k3s-token' | 'k3s-agent-token'): Secret =>
  new Secret(derive(key, purpose, '', 32).toString('hex'))

/** The certificate authority of a Kubernetes cluster, under the name that kubeadm gives its own. */
export const clusterAuthority = (key: ClusterKey): CertificateAuthority =>
  makeCertificateAuthority(derive(key, 'ca-key', '', p256SeedBytes), 'kubernetes')

/** First password of Portainer's admin: 24 letters and digits. */
export const portainerPassword = (key: ClusterKey): Secret =>
  new Secret(
    characters(key, 'portainer-password', 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789', 24),
  )

/** 16 bytes as a version 4, variant 1 UUID. */
function uuidFrom(bytes: Uint8Array): string {
  const uuid = Buffer.from(bytes)
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x40
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80
  const hex = uuid.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** Characters of an alphabet, each equally likely: bytes beyond its last full repeat are skipped. */
function characters(key: ClusterKey, purpose: Purpose, alphabet: string, count: number): string {
  const limit = 256 - (256 % alphabet.length)
  const text = [...derive(key, purpose, '', count * 16)]
    .filter((byte) => byte < limit)
    .map((byte) => alphabet[byte % alphabet.length])
    .join('')
    .slice(0, count)
  if (text.length < count) throw new Error('too few usable bytes; astronomically unlikely')
  return text
}
