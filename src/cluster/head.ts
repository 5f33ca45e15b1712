/** The nodes of a cluster that others must find: its head, and the router with its LAN. */
import { UsageError } from '../errors.ts'
import { formatCidr, networkOf, parseIpv4 } from './ipv4.ts'
import type { Cluster, Node } from './node.ts'

export const findHead = ({ join, nodes }: Cluster): Node | undefined =>
  nodes.find(({ name }) => name === join.head)

/** Where the other nodes reach it: its first interface's own address. */
export const fixedIpOf = (node: Node | undefined): string | undefined => node?.interfaces[0]?.address?.ip

/** @throws {UsageError} the cluster has no head, or the head no fixed address */
export function headOf(cluster: Cluster): { node: Node; ip: string } {
  const node = findHead(cluster)
  const ip = fixedIpOf(node)
  if (node === undefined || ip === undefined)
    throw new UsageError(`${cluster.file}: the cluster has no head with a fixed address`, {
      hint: 'Say join: { kind: …, head: NODE } and give that node an address.',
    })
  return { node, ip }
}

/**
 * The router's interface to the cluster, with its address.
 * @throws {UsageError} the node is no router, or has no fixed address there
 */
export function lanOf(node: Node): { name: string; ip: string; prefix: number; cidr: string } {
  const lan = node.interfaces.find(({ name }) => name === node.router?.lan)
  const value = parseIpv4(lan?.address?.ip ?? '')
  if (lan?.address === undefined || value === undefined)
    throw new UsageError(`node ${node.name} is not a router with a fixed address`, {
      hint: 'Give it router: { uplink: wlan0, lan: eth0 } and an address such as 10.3.50.1/24.',
    })
  const { ip, prefix } = lan.address
  return { name: lan.name, ip, prefix, cidr: formatCidr(networkOf(value, prefix)) }
}
