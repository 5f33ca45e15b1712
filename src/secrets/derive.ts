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

/**
 * What every node derives, and for whom; features name more (src/cluster/feature.ts).
 * A purpose is never used for two things.
 */
export const purposes = {
  'ssh-host-key': 'node: seed of its ed25519 SSH host key',
  'machine-id': 'node: /etc/machine-id',
  'random-seed': 'node: first entropy of a board without a hardware source',
  'password-salt': 'user: salt of a password hashed here',
  'station-certificate': 'cluster: key of the certificate of piimage station',
} as const satisfies Record<string, string>

/**
 * @param purpose one of `purposes`, or of a feature's
 * @param subject a node's name, a user's name, or '' for the whole cluster
 * @param length bytes, 1–8160
 */
export function derive(key: ClusterKey, purpose: string, subject: string, length: number): Buffer {
  return Buffer.from(
    hkdfSync('sha256', key.reveal(), new Uint8Array(0), `piimage/v1/${purpose}/${subject}`, length),
  )
}
