/** Rules about addresses: inside their network, reachable, and clear of what containers use. */
import type { Draft } from './draft.ts'
import type { InterfaceDraft } from './interfaces.ts'
import {
  type Cidr,
  contains,
  formatCidr,
  formatIpv4,
  lastOf,
  networkOf,
  overlap,
  parseCidr,
  parseIpv4,
} from './ipv4.ts'
import { pick } from './layers.ts'
import type { Rule } from './rule.ts'
import type { Path } from './yaml-source.ts'

const networkPath: Path = ['network', 'cidr']
const subnetOf = ({ address }: InterfaceDraft): Cidr | undefined =>
  address === undefined ? undefined : networkOf(address.value, address.prefix)

/** The first and the last address of a network belong to nobody. */
function reserved(network: Cidr, address: number): string | undefined {
  if (address === network.base) return `is the network ${formatCidr(network)} itself`
  if (address === lastOf(network)) return `is the broadcast address of ${formatCidr(network)}`
  return undefined
}

export const addressesInNetwork: Rule = ({ file, drafts, judge }) => {
  const network = parseCidr(file.network?.cidr ?? '')
  for (const { name, hat, interfaces } of drafts) {
    for (const [index, one] of interfaces.entries()) {
      const subnet = subnetOf(one)
      if (one.address === undefined || subnet === undefined) continue
      const ip = formatIpv4(one.address.value)
      const end = reserved(subnet, one.address.value)
      if (end !== undefined)
        judge.mistake(one.path, `${name}: ${ip} ${end}`, 'choose an address between the two')
      if (index > 0 || network === undefined) continue
      if (!contains(network, one.address.value)) {
        const implied = one.path.at(-1) === 'clusterhat' && hat !== undefined
        const between = `choose one from ${formatIpv4(network.base + 1)} to ${formatIpv4(lastOf(network) - 1)}`
        judge.mistake(
          one.path,
          `${name}: ${ip} is outside the network ${formatCidr(network)}`,
          implied
            ? 'a ClusterHAT behind cnat is 172.19.181.0/24; or give the node an address'
            : interfaces.length > 1
              ? `${between}; that of ${interfaces[1]?.name} goes under interfaces: { ${interfaces[1]?.name}: { address: ${ip}/${one.address.prefix} } }`
              : between,
        )
      } else if (one.address.prefix !== network.prefix)
        judge.mistake(
          one.path,
          `${name}: prefix /${one.address.prefix} differs from the network's /${network.prefix}`,
          `write ${ip}/${network.prefix}`,
        )
    }
  }
}

/** Two interfaces of one node in one network: packets leave by the wrong one. */
export const interfacesApart: Rule = ({ drafts, judge }) => {
  for (const { name, interfaces } of drafts)
    for (const [index, one] of interfaces.entries()) {
      const subnet = subnetOf(one)
      const other = interfaces.slice(0, index).find((earlier) => {
        const its = subnetOf(earlier)
        return subnet !== undefined && its !== undefined && overlap(subnet, its)
      })
      if (other !== undefined)
        judge.mistake(
          one.path,
          `${name}: ${one.name} and ${other.name} are in the same network`,
          'give one of them a network of its own',
        )
    }
}

export const gatewaysInside: Rule = ({ file, drafts, judge }) => {
  const network = parseCidr(file.network?.cidr ?? '')
  const gateway = parseIpv4(file.network?.gateway ?? '')
  if (network !== undefined && gateway !== undefined) {
    const problem = contains(network, gateway)
      ? reserved(network, gateway)
      : `is outside the network ${formatCidr(network)}`
    if (problem !== undefined)
      judge.mistake(
        ['network', 'gateway'],
        `the gateway ${file.network?.gateway} ${problem}`,
        "the router's address on this network",
      )
  }
  for (const { name, interfaces } of drafts)
    for (const one of interfaces) {
      const subnet = subnetOf(one)
      const own = parseIpv4(one.gateway?.value ?? '')
      if (subnet === undefined || own === undefined || one.gateway === undefined) continue
      if (one.gateway.path[0] === 'network') continue
      const problem = contains(subnet, own)
        ? reserved(subnet, own)
        : `is outside ${one.name}'s network ${formatCidr(subnet)}`
      if (problem !== undefined)
        judge.mistake(
          one.gateway.path,
          `${name}: the gateway ${one.gateway.value} ${problem}`,
          'a gateway is a neighbour: an address in the same network',
        )
    }
}

/** It can be meant: a network that leads nowhere. */
export const someWayOut: Rule = ({ file, drafts, judge }) => {
  if (file.network?.gateway !== undefined) return
  for (const { name, interfaces } of drafts)
    if (interfaces.every(({ address, gateway }) => address !== undefined && gateway === undefined))
      judge.warn(
        interfaces[0]?.path ?? [],
        `${name} has a fixed address and no gateway: it reaches nothing outside its own network`,
        'say which router leads out: network: { gateway: … }, or gateway: at the node',
      )
}

export const dhcpRange: Rule = ({ file, drafts, judge }) => {
  const network = parseCidr(file.network?.cidr ?? '')
  const dhcp = file.network?.dhcp
  if (network === undefined || dhcp === undefined || dhcp === 'proxy') return
  const from = parseIpv4(dhcp.from ?? '')
  const to = parseIpv4(dhcp.to ?? '')
  for (const [key, address] of [
    ['from', from],
    ['to', to],
  ] as const) {
    if (address === undefined) continue
    const problem = contains(network, address)
      ? reserved(network, address)
      : `is outside the network ${formatCidr(network)}`
    if (problem !== undefined)
      judge.mistake(
        ['network', 'dhcp', key],
        `${formatIpv4(address)} ${problem}`,
        'the range lies inside the network',
      )
  }
  if (from === undefined || to === undefined) return
  if (from > to) {
    judge.mistake(
      ['network', 'dhcp', 'to'],
      `the range ends before it begins: ${dhcp.from} to ${dhcp.to}`,
      'swap the two',
    )
    return
  }
  for (const { name, interfaces } of drafts)
    for (const { address, path } of interfaces)
      if (address !== undefined && address.value >= from && address.value <= to)
        judge.mistake(
          path,
          `${name}: ${formatIpv4(address.value)} is in the range that is lent to others (${dhcp.from} to ${dhcp.to})`,
          'choose an address outside it, or move the range',
        )
}

/** A way out that leads to a node must lead through it. */
export const gatewayRoutes: Rule = ({ file, drafts, judge }) => {
  const gateway = parseIpv4(file.network?.gateway ?? '')
  const node = drafts.find(({ interfaces }) => interfaces.some(({ address }) => address?.value === gateway))
  if (gateway === undefined || node === undefined) return
  if (pick(node, 'router') === undefined && node.hat?.role !== 'cnat')
    judge.warn(
      ['network', 'gateway'],
      `the gateway is ${node.name}, which does not route`,
      `give ${node.name} a router: { uplink: wlan0, lan: ${node.interfaces[0]?.name} }`,
    )
}

export const nameServers: Rule = ({ drafts, judge }) => {
  for (const { name, interfaces } of drafts) {
    const [first] = interfaces
    if (
      first?.address === undefined ||
      interfaces.some(({ address, dns }) => address === undefined || dns.length > 0)
    )
      continue
    judge.warn(
      first.path,
      `${name} has a fixed address and no name server: it will resolve no name`,
      'give network.dns',
    )
  }
}

/** What features set up for containers, unless told otherwise, lies elsewhere. */
export const containersApart: Rule = ({ file, drafts, judge }) => {
  const shared = parseCidr(file.network?.cidr ?? '')
  const ranges = judge.options.features.flatMap(({ name: overlay, ranges }) =>
    (ranges ?? []).map((range) => ({ overlay, ...range })),
  )
  for (const draft of drafts)
    for (const { overlay, what, range: usual, parameter } of ranges) {
      const said = parameter === undefined ? undefined : parameterOf(draft, overlay, parameter)
      const range = typeof said === 'string' ? said : usual
      const pool = parseCidr(range)
      if (pool === undefined || !uses(draft, overlay)) continue
      const hint =
        parameter === undefined
          ? 'move the network'
          : `containers' networks would hide it: move it, or say ${overlay}: { ${parameter}: … }`
      if (shared !== undefined && overlap(shared, pool))
        judge.mistake(networkPath, `the network ${formatCidr(shared)} collides with ${what} ${range}`, hint)
      for (const one of draft.interfaces) {
        const subnet = subnetOf(one)
        if (
          subnet === undefined ||
          (shared !== undefined && overlap(subnet, shared)) ||
          !overlap(subnet, pool)
        )
          continue
        judge.mistake(one.path, `${draft.name}: ${formatCidr(subnet)} collides with ${what} ${range}`, hint)
      }
    }
}

const uses = (draft: Draft, overlay: string): boolean => draft.overlays.some(({ name }) => name === overlay)

/** What the node says for a parameter of an overlay. */
const parameterOf = ({ overlays }: Draft, overlay: string, parameter: string): unknown =>
  overlays.find(({ name }) => name === overlay)?.parameters[parameter]
