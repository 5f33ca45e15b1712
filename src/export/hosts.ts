/**
 * /etc/hosts lines: the nodes' names at their addresses inside the cluster.
 *
 * A name stands once: with two addresses a program tries both, and waits for the
 * wrong one. So a gate's outer address, and nodes that ask for theirs, are only
 * named in comments.
 *
 * Source: hosts(5).
 */
import type { Cluster } from '../cluster/node.ts'
import { formatHeading } from './heading.ts'
import { isGate, outerInterface } from './reach.ts'

/** The text, ending in a newline. */
export function formatHosts(cluster: Cluster): string {
  const lines = cluster.nodes.flatMap((node) => {
    const [first] = node.interfaces
    const outer = isGate(node) ? outerInterface(node)?.address?.ip : undefined
    if (first?.address === undefined) return [`# ${node.name} asks for its address by DHCP`]
    const names = [...(first.domain === undefined ? [] : [`${node.name}.${first.domain}`]), node.name]
    return [
      `${first.address.ip} ${names.join(' ')}`,
      ...(outer === undefined ? [] : [`# from outside ${node.name} is ${outer}`]),
    ]
  })
  return `${[formatHeading('host names', cluster, 'export hosts'), ...lines].join('\n')}\n`
}
