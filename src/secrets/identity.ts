/** What makes one node itself: each value derived from the cluster key, so a card made again is the same node. */
import type { ClusterKey } from './cluster-key.ts'
import { derive } from './derive.ts'
import { makeEd25519Key, type SshKeyPair, seedBytes } from './ed25519-key.ts'

/** The node's SSH host key. */
export const sshHostKey = (key: ClusterKey, node: string): SshKeyPair =>
  makeEd25519Key(derive(key, 'ssh-host-key', node, seedBytes), `root@${node}`)

/** 32 hex digits for /etc/machine-id: a version 4 UUID without dashes, as machine-id(5) asks. */
export const machineId = (key: ClusterKey, node: string): string =>
  uuidFrom(derive(key, 'machine-id', node, 16)).replaceAll('-', '')

/** cloud-init's instance-id; another one makes cloud-init start over. */
export const instanceId = (key: ClusterKey, node: string): string =>
  `piimage-${uuidFrom(derive(key, 'instance-id', node, 16))}`

/** The uuid of a node's NetworkManager connection. */
export const connectionUuid = (key: ClusterKey, node: string, interfaceName: string): string =>
  uuidFrom(derive(key, 'connection-uuid', `${node}/${interfaceName}`, 16))

/** 16 bytes as a version 4, variant 1 UUID. */
function uuidFrom(bytes: Uint8Array): string {
  const uuid = Buffer.from(bytes)
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x40
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80
  const hex = uuid.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
