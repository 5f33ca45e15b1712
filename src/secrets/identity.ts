/** What makes one node itself: each value derived from the cluster key, so a card made again is the same node. */

import { uuidFrom } from '../uuid.ts'
import type { ClusterKey } from './cluster-key.ts'
import { derive } from './derive.ts'
import { makeEd25519Key, type SshKeyPair, seedBytes } from './ed25519-key.ts'

/** The node's SSH host key. */
export const sshHostKey = (key: ClusterKey, node: string): SshKeyPair =>
  makeEd25519Key(derive(key, 'ssh-host-key', node, seedBytes), `root@${node}`)

/** 32 hex digits for /etc/machine-id: a version 4 UUID without dashes, as machine-id(5) asks. */
export const machineId = (key: ClusterKey, node: string): string =>
  uuidFrom(derive(key, 'machine-id', node, 16), 4).replaceAll('-', '')
