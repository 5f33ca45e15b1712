/**
 * How the nodes of a swarm find together: the workers' keys to the head's token
 * broker, and the list of nodes that the head waits for.
 *
 * A worker's key is good for one forced command on the head, and that command
 * answers for this one node only (overlays/swarm/join-token.sh).
 */

import { boards } from '../../cluster/boards.ts'
import type { ArtifactRow } from '../../cluster/feature.ts'
import { headOf } from '../../cluster/head.ts'
import { contains, formatCidr, parseCidr, parseIpv4 } from '../../cluster/ipv4.ts'
import type { Cluster, Node } from '../../cluster/node.ts'
import { makeEd25519Key, type SshKeyPair, seedBytes } from '../../secrets/ed25519-key.ts'
import { formatKnownHost } from '../../secrets/known-hosts.ts'
import type { NodeKeys } from '../../secrets/node-keys.ts'

/** What the forced command runs. */
const BROKER = '/usr/local/sbin/piimage-join-token'

export const joinKeyPurpose = 'join-key'

/** The key with which a worker fetches its join token from the head. */
export const joinKey = (keys: NodeKeys, node: string): SshKeyPair =>
  makeEd25519Key(keys.derive(joinKeyPurpose, node, seedBytes), `piimage-join:${node}`)

export const swarmArtifacts: readonly ArtifactRow[] = [
  {
    name: 'join-key',
    meaning: "secret: this node's ssh key for fetching its join token from the head",
    of: ({ node }, keys) => joinKey(keys, node.name).privateKey,
  },
  {
    name: 'join-known-hosts',
    meaning: 'the head, as ssh must find it: address and host key',
    of: ({ cluster }, keys) => {
      const { node, ip } = headOf(cluster)
      return `${formatKnownHost({ names: [ip], publicLine: keys.hostKey(node.name).publicLine })}\n`
    },
  },
  {
    name: 'join-authorized-keys',
    meaning: "authorized_keys of the head's token broker: a line for each other node",
    of: ({ cluster }, keys) => formatAuthorizedKeys(cluster, keys),
  },
  {
    name: 'swarm-nodes',
    meaning: 'a line for each node of the swarm: name, `manager` or `worker`, labels as `key=value`',
    of: ({ cluster }) =>
      membersOf(cluster)
        .map((node) => `${formatNode(node, cluster)}\n`)
        .join(''),
  },
]

/** A node that the overlay was taken from is not waited for. */
const membersOf = ({ nodes }: Cluster): Node[] =>
  nodes.filter(({ overlays }) => overlays.some(({ name }) => name === 'swarm'))

function formatAuthorizedKeys(cluster: Cluster, keys: NodeKeys): string {
  const { node: head, ip } = headOf(cluster)
  const cidr = cluster.network === undefined ? undefined : parseCidr(cluster.network.cidr)
  const address = parseIpv4(ip)
  // Only where the head itself is on that network is it sure how a worker's address looks from there.
  const isLocal = cidr !== undefined && address !== undefined && contains(cidr, address)
  const from = isLocal ? `from="${formatCidr(cidr)}",` : ''
  return membersOf(cluster)
    .filter(({ name }) => name !== head.name)
    .map(({ name }) => {
      const { publicLine } = joinKey(keys, name)
      return `restrict,${from}command="sudo -n ${BROKER} ${name} \\"$SSH_ORIGINAL_COMMAND\\"" ${publicLine}\n`
    })
    .join('')
}

/** ARMv6 is known from the board; the head asks the others' Docker where no label says. */
function formatNode({ name, model, manager, labels }: Node, { join }: Cluster): string {
  const known = boards[model].cpu === 'armv6' ? { arch: 'armv6' } : {}
  const role = manager || name === join.head ? 'manager' : 'worker'
  const pairs = Object.entries({ ...known, ...labels }).map(([key, value]) => `${key}=${value}`)
  return [name, role, ...pairs].join(' ')
}
