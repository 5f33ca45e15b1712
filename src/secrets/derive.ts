/**
 * Everything random in a cluster, derived from its key: same cluster file, same
 * key, same bytes on every card.
 *
 * HKDF-SHA256 (RFC 5869) without salt; the info string
 * `piimage/v1/<purpose>/<subject>` keeps one secret from ever being another. The
 * subject is a node's name, or empty for what the whole cluster shares.
 */
import { hkdfSync } from 'node:crypto'
import type { ClusterKey } from './cluster-key.ts'

/** What is derived, and for whom. A purpose is never used for two things. */
export const purposes = {
  'ssh-host-key': 'node: seed of its ed25519 SSH host key',
  'join-key': 'node: seed of the ed25519 key that fetches its join token from the head, once',
  'machine-id': 'node: /etc/machine-id',
  'instance-id': 'node: instance-id of cloud-init',
  'connection-uuid': 'node/interface: uuid of a NetworkManager connection',
  'random-seed': 'node: first entropy of a board without a hardware source',
  'password-salt': 'user: salt of a password hashed here',
  'kubeadm-token': 'cluster: bootstrap token',
  'k3s-token': 'cluster: server token',
  'k3s-agent-token': 'cluster: agent token',
  'ca-key': 'cluster: private key of the certificate authority',
  'portainer-password': 'cluster: first password of the admin',
} as const satisfies Record<string, string>

export type Purpose = keyof typeof purposes

/**
 * @param subject a node's name, `node/interface`, a user's name, or '' for the whole cluster
 * @param length bytes, 1–8160
 */
export function derive(key: ClusterKey, purpose: Purpose, subject: string, length: number): Buffer {
  return Buffer.from(
    hkdfSync('sha256', key.reveal(), new Uint8Array(0), `piimage/v1/${purpose}/${subject}`, length),
  )
}
