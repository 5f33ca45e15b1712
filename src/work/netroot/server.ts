/** Which address and which interface of the server face the cluster. */
import { networkInterfaces } from 'node:os'
import { contains, parseCidr, parseIpv4 } from '../../cluster/ipv4.ts'
import type { Cluster, Node } from '../../cluster/node.ts'
import { UsageError } from '../../errors.ts'
import type { ServedCluster } from '../../netroot/served.ts'

type Server = ServedCluster['server']

/**
 * The node that the cluster file names, else this machine. The interface is
 * this machine's own name of it where the address is here.
 * @throws {UsageError} no address of the server lies in the cluster's network
 */
export function findServer(cluster: Cluster): Server {
  const network = parseCidr(cluster.network?.cidr ?? '')
  const isInside = (ip: string): boolean => {
    const address = parseIpv4(ip)
    return network !== undefined && address !== undefined && contains(network, address)
  }
  const node = cluster.nodes.find(({ name }) => name === cluster.netroot.server)
  const { outside } = cluster.netroot
  const named = outside === undefined ? node && ofNode(node, isInside) : ofOutside(outside)
  const local = localAddresses().find(({ ip }) => (named === undefined ? isInside(ip) : ip === named.ip))
  const found = local ?? named
  if (found !== undefined) return found
  const where = cluster.network?.cidr ?? 'the network'
  if (node !== undefined)
    throw new UsageError(`${node.name} is to serve the diskless nodes and has no fixed address in ${where}`, {
      hint: 'Give it one: address: 10.3.50.1/24',
    })
  throw new UsageError(`this machine has no address in ${where}`, {
    hint: 'Run it on the server, or name the node that serves: netroot: { server: NAME }, or one outside the cluster by its address',
  })
}

/** Of one that is not asked itself, the usual name. */
const ofOutside = ({
  ip,
  prefix,
  interface: name = 'eth0',
}: NonNullable<Cluster['netroot']['outside']>): Server => ({
  ip,
  prefix,
  interface: name,
})

function ofNode({ interfaces }: Node, isInside: (ip: string) => boolean): Server | undefined {
  for (const { name, address } of interfaces)
    if (address !== undefined && isInside(address.ip))
      return { ip: address.ip, prefix: address.prefix, interface: name }
  return undefined
}

function localAddresses(): Server[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map(({ address, cidr }) => ({
        ip: address,
        prefix: Number(cidr?.split('/')[1] ?? 32),
        interface: name,
      })),
  )
}
