/**
 * dnsmasq on the node that routes: addresses for the nodes whose MAC is known,
 * a range for strangers if the cluster file gives one, and the nodes' names.
 *
 * Source: dnsmasq(8).
 */
import { contains, formatCidr, formatIpv4, networkOf, parseIpv4 } from '../../cluster/ipv4.ts'
import type { Cluster, Node, NodeInterface } from '../../cluster/node.ts'
import { UsageError } from '../../errors.ts'

/** The router's interface to the cluster, with its address. */
export function lanOf(node: Node): { name: string; ip: string; prefix: number; cidr: string } {
  const lan = node.interfaces.find(({ name }) => name === node.router?.lan)
  const value = parseIpv4(lan?.address?.ip ?? '')
  if (lan?.address === undefined || value === undefined)
    throw new UsageError(`node ${node.name} is no router with a fixed address`, {
      hint: 'Give it router: { uplink: wlan0, lan: eth0 } and an address such as 10.3.50.1/24.',
    })
  const { ip, prefix } = lan.address
  return { name: lan.name, ip, prefix, cidr: formatCidr(networkOf(value, prefix)) }
}

/** The address a node has on the router's network; undefined: none, or by DHCP. */
function addressOn(network: ReturnType<typeof networkOf>, { interfaces }: Node): string | undefined {
  const isOn = ({ address }: NodeInterface) => contains(network, parseIpv4(address?.ip ?? '') ?? -1)
  return interfaces.find((one) => one.address !== undefined && isOn(one))?.address?.ip
}

export function formatRouterDnsmasq(router: Node, { network, nodes }: Cluster): string {
  const lan = lanOf(router)
  const subnet = networkOf(parseIpv4(lan.ip) ?? 0, lan.prefix)
  const mask = formatIpv4(networkOf(0xffffffff, lan.prefix).base)
  const domain = network?.domain
  const own = router.interfaces.map(({ address }) => address?.ip)
  const lines = [
    `# DHCP and DNS of the cluster; made by piimage.`,
    `interface=${lan.name}`,
    // Not bind-interfaces: the port may come up, or get its address, later.
    'bind-dynamic',
    'domain-needed',
    'bogus-priv',
    'no-hosts',
    ...(network?.dns ?? []).filter((ip) => !own.includes(ip)).map((ip) => `server=${ip}`),
    ...(domain === undefined ? [] : [`domain=${domain}`, `local=/${domain}/`]),
    ...nodes.flatMap((node) => {
      const ip = addressOn(subnet, node)
      const names = domain === undefined ? node.name : `${node.name},${node.name}.${domain}`
      return ip === undefined ? [] : [`host-record=${names},${ip}`]
    }),
  ]
  const dhcp = network?.dhcp
  if (dhcp !== 'proxy') {
    lines.push(
      'dhcp-authoritative',
      dhcp === undefined
        ? `dhcp-range=${formatIpv4(subnet.base)},static,${mask}`
        : `dhcp-range=${dhcp.from},${dhcp.to},${mask},${dhcp.lease}`,
      `dhcp-option=option:router,${lan.ip}`,
      `dhcp-option=option:dns-server,${lan.ip}`,
      ...nodes
        .filter((node) => node.mac !== undefined && node.name !== router.name)
        .map((node) => ['dhcp-host', [node.mac, node.name, addressOn(subnet, node)]] as const)
        .map(([key, values]) => `${key}=${values.filter((value) => value !== undefined).join(',')}`),
    )
  }
  return `${lines.join('\n')}\n`
}
