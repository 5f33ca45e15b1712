/**
 * dnsmasq on the node that routes: addresses for the nodes whose MAC is known,
 * a range for all others, and the nodes' names.
 *
 * Source: dnsmasq(8).
 */
import { lanOf } from '../../cluster/head.ts'
import {
  type Cidr,
  contains,
  formatIpv4,
  lastOf,
  netmaskOf,
  networkOf,
  parseIpv4,
} from '../../cluster/ipv4.ts'
import type { Cluster, Node, NodeInterface } from '../../cluster/node.ts'
import { UsageError } from '../../errors.ts'
import { showValue } from '../../plain-value.ts'

/** How many addresses are lent where the cluster file does not say which. */
const LENT = 100

/** The address a node has on the router's network; undefined: none, or by DHCP. */
function addressOn(network: Cidr, { interfaces }: Node): string | undefined {
  const isOn = ({ address }: NodeInterface) => contains(network, parseIpv4(address?.ip ?? '') ?? -1)
  return interfaces.find((one) => one.address !== undefined && isOn(one))?.address?.ip
}

/**
 * The last addresses of the largest gap between those in use.
 * @returns undefined when none is free
 */
export function freeRange(network: Cidr, used: readonly number[]): { from: number; to: number } | undefined {
  const last = lastOf(network)
  const taken = [network.base, ...used.filter((address) => contains(network, address)), last]
  let best: { from: number; to: number } | undefined
  let before = network.base
  for (const address of taken.sort((a, b) => a - b)) {
    const gap = { from: before + 1, to: address - 1 }
    if (gap.to >= gap.from && (best === undefined || gap.to - gap.from > best.to - best.from)) best = gap
    before = address
  }
  return best === undefined ? undefined : { from: Math.max(best.from, best.to - LENT + 1), to: best.to }
}

/**
 * @returns dnsmasq's whole settings file
 * @throws {UsageError} no router, or a value that would be more than a word in the file
 */
export function formatRouterDnsmasq(router: Node, cluster: Cluster): string {
  const { network, nodes } = cluster
  const lan = lanOf(router)
  const subnet = networkOf(parseIpv4(lan.ip) ?? 0, lan.prefix)
  const domain = network?.domain
  const own = router.interfaces.map(({ address }) => address?.ip)
  const settings: Setting[] = [
    ['interface', lan.name],
    // Not bind-interfaces: the port may come up, or get its address, later.
    ['bind-dynamic'],
    ['domain-needed'],
    ['bogus-priv'],
    ['no-hosts'],
    ...(network?.dns ?? []).filter((ip) => !own.includes(ip)).map((ip): Setting => ['server', ip]),
  ]
  if (domain !== undefined) settings.push(['domain', domain], ['local', `/${domain}/`])
  for (const node of nodes) {
    const ip = addressOn(subnet, node)
    if (ip !== undefined)
      settings.push([
        'host-record',
        node.name,
        domain === undefined ? undefined : `${node.name}.${domain}`,
        ip,
      ])
  }
  if (network?.dhcp !== 'proxy') {
    settings.push(
      ['dhcp-authoritative'],
      lentRange(subnet, router, cluster),
      ['dhcp-option', 'option:router', lan.ip],
      ['dhcp-option', 'option:dns-server', lan.ip],
    )
    for (const node of nodes)
      if (node.mac !== undefined && node.name !== router.name)
        settings.push(['dhcp-host', node.mac, node.name, addressOn(subnet, node)])
  }
  return ['# DHCP and DNS of the cluster; made by piimage.', ...settings.map(formatSetting), ''].join('\n')
}

/** A key and its values, which commas separate; undefined ones are left out. */
type Setting = [key: string, ...values: (string | undefined)[]]

function lentRange(subnet: Cidr, router: Node, { network, nodes }: Cluster): Setting {
  const mask = netmaskOf(subnet.prefix)
  const dhcp = network?.dhcp
  if (dhcp !== undefined && dhcp !== 'proxy') return ['dhcp-range', dhcp.from, dhcp.to, mask, dhcp.lease]
  const inUse = [
    network?.gateway,
    ...(network?.dns ?? []),
    ...[router, ...nodes].flatMap(({ interfaces }) => interfaces.map(({ address }) => address?.ip)),
  ]
  const range = freeRange(
    subnet,
    inUse.flatMap((ip) => parseIpv4(ip ?? '') ?? []),
  )
  return range === undefined
    ? ['dhcp-range', formatIpv4(subnet.base), 'static', mask]
    : ['dhcp-range', formatIpv4(range.from), formatIpv4(range.to), mask, '12h']
}

function formatSetting([key, ...values]: Setting): string {
  const given = values.filter((value) => value !== undefined)
  // A comma, a blank or a line end would begin something else.
  for (const value of given)
    if (!/^[A-Za-z0-9_.:/-]+$/.test(value))
      throw new UsageError(`${showValue(value)} cannot stand in dnsmasq's ${key}`, {
        hint: 'Names have letters, digits, dots and dashes.',
      })
  return given.length === 0 ? key : `${key}=${given.join(',')}`
}
