/** The head node, for whoever must find it. */
import type { Cluster, Node } from '../../cluster/node.ts'
import { UsageError } from '../../errors.ts'

/** @throws {UsageError} the cluster has no head, or the head no fixed address */
export function headOf(cluster: Cluster): { node: Node; ip: string } {
  const node = cluster.nodes.find(({ name }) => name === cluster.join.head)
  const ip = node?.interfaces[0]?.address?.ip
  if (node === undefined || ip === undefined)
    throw new UsageError(`${cluster.file}: the cluster has no head with a fixed address`, {
      hint: 'Say join: { kind: swarm, head: NODE } and give that node an address.',
    })
  return { node, ip }
}
