/**
 * Which key each node shows, before any of them ever ran: host keys are derived
 * from the cluster key, and only their public halves come here.
 */
import type { Cluster, Node } from '../cluster/node.ts'
import { formatKnownHost } from '../secrets/known-hosts.ts'
import { formatHeading } from './heading.ts'
import { type KnownAddresses, planReach } from './reach.ts'

/** Whether the node gets its derived host key; without the overlay `ssh` it makes keys of its own. */
export const hasDerivedHostKey = (node: Node): boolean => node.overlays.some(({ name }) => name === 'ssh')

/**
 * A line per node, under every name and address it is reached by; ends in a newline.
 * @param publicLineOf `ssh-ed25519 AAAA…` of a node, by name
 */
export function formatKnownHosts(
  cluster: Cluster,
  publicLineOf: (node: string) => string,
  addresses?: KnownAddresses,
): string {
  const lines = planReach(cluster, addresses)
    .filter(({ node }) => hasDerivedHostKey(node))
    .map(({ node, address }) => {
      const own = node.interfaces.flatMap((one) => one.address?.ip ?? [])
      const domains = node.interfaces.flatMap(({ domain }) => domain ?? [])
      const names = [
        node.name,
        ...domains.map((domain) => `${node.name}.${domain}`),
        `${node.name}.local`,
        address,
        ...own,
      ]
      return formatKnownHost({ names: [...new Set(names)], publicLine: publicLineOf(node.name) })
    })
  return `${[formatHeading('ssh host keys', cluster, 'export known-hosts'), ...lines].join('\n')}\n`
}
