/**
 * How each node is reached from outside: the address to connect to, and the
 * node that stands in between.
 *
 * A gate is a node with another network behind it: one with `router`, or the
 * CNAT controller of a ClusterHAT. Nodes on a gate's inner network are reached
 * through it, all others directly: they are on the same network as the person.
 * Without a fixed address, a node behind a ClusterHAT's controller or on a wired
 * network that a gate serves counts as behind it; one on Wi-Fi doesn't.
 *
 * A gate itself is reached at its outer interface. Where DHCP gives that its
 * address, nobody knows it beforehand: then it is `<name>.local`, which Raspberry
 * Pi OS and HypriotOS answer to by multicast DNS. The cluster's own domain won't
 * do: only the gate answers for it, and only inside.
 */
import { contains, networkOf, parseIpv4 } from '../cluster/ipv4.ts'
import type { Cluster, Node, NodeInterface } from '../cluster/node.ts'

export interface Reach {
  node: Node
  /** An IPv4 address, or a name. Behind a gate, as the gate sees it. */
  address: string
  through?: Reach
}

/** Addresses a person knows better, by node name. */
export type KnownAddresses = ReadonlyMap<string, string>

/** Every node, in file order. */
export function planReach({ nodes }: Cluster, known: KnownAddresses = new Map()): Reach[] {
  const gates = nodes.filter(isGate)
  const reached = new Map<Node, Reach>()
  const reach = (node: Node): Reach => {
    const done = reached.get(node)
    if (done !== undefined) return done
    // A gate can stand behind one that the file names before it; so nobody stands behind himself.
    const gate = (isGate(node) ? gates.slice(0, gates.indexOf(node)) : gates).find((one) =>
      isBehind(node, one),
    )
    const made: Reach = {
      node,
      address: known.get(node.name) ?? outerInterface(node)?.address?.ip ?? `${node.name}.local`,
      through: gate === undefined ? undefined : reach(gate),
    }
    reached.set(node, made)
    return made
  }
  return nodes.map(reach)
}

/** Whether the node routes into a network of its own. */
export const isGate = (node: Node): boolean => node.router !== undefined || node.clusterHat?.role === 'cnat'

/** The interface that faces away from the node's own network; a node without one has only the first. */
export function outerInterface(node: Node): NodeInterface | undefined {
  if (!isGate(node)) return node.interfaces[0]
  const { uplink } = node.router ?? {}
  if (uplink !== undefined) return node.interfaces.find(({ name }) => name === uplink)
  return node.interfaces.slice(1).find(({ address }) => address !== undefined) ?? node.interfaces[1]
}

function isBehind(node: Node, gate: Node): boolean {
  const outer = outerInterface(node)
  const inner = gate.interfaces[0]?.address
  const address = parseIpv4(outer?.address?.ip ?? '')
  const gateAddress = parseIpv4(inner?.ip ?? '')
  if (address !== undefined)
    return (
      inner !== undefined &&
      gateAddress !== undefined &&
      contains(networkOf(gateAddress, inner.prefix), address)
    )
  if (isGate(node)) return false
  if (node.clusterHat?.role === 'slot') return gate.clusterHat?.role === 'cnat'
  return outer?.name.startsWith('wlan') === false && gate.router !== undefined
}
