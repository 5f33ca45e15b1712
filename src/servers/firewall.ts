/**
 * What a firewall on the server must let through, and who keeps it: the lines
 * that open it are written for that one. ./open-firewall.ts carries them out
 * where the person says so; else they are only shown, because nobody opens a
 * firewall unasked.
 */
import { formatCidr, networkOf, parseIpv4 } from '../cluster/ipv4.ts'
import type { ServedCluster } from '../netroot/served.ts'
import { interfaceName } from '../plain-value.ts'
import { isEthernetNode, tftpPorts } from './dnsmasq.ts'
import { MOUNTD_PORT, nfsAddresses, USB_NETWORK } from './exports.ts'
import type { Firewall } from './machine.ts'
import { letsIn } from './packet-filter.ts'

/** DHCP, TFTP and the port on which a PXE client asks beside another DHCP server. */
const BOOT_PORTS = [67, 69, 4011]
/** The port mapper, NFS and mountd. */
const NFS_PORTS = [111, 2049, MOUNTD_PORT]
const PROTOCOLS = ['tcp', 'udp'] as const

export interface Opening {
  protocol: 'tcp' | 'udp'
  /** Numbers, and ranges as `61000-61199`. */
  ports: string[]
  /** CIDR; undefined: whoever has no address yet, too. */
  source?: string
  /** undefined: of Zeros, whose interfaces come and go. */
  interface?: string
}

/** Everything that nodes ask this server for. */
export function openingsOf(served: ServedCluster): Opening[] {
  const face = interfaceName(served.server.interface)
  const own = formatCidr(networkOf(parseIpv4(served.server.ip) ?? 0, served.server.prefix))
  const usb = nfsAddresses(served).length > 1
  const { first, last } = tftpPorts(served)
  const nfs = NFS_PORTS.map(String)
  return [
    ...(served.nodes.some(isEthernetNode)
      ? [
          {
            protocol: 'udp' as const,
            ports: [...BOOT_PORTS.map(String), `${first}-${last}`],
            interface: face,
          },
        ]
      : []),
    ...PROTOCOLS.flatMap((protocol): Opening[] => [
      { protocol, ports: nfs, source: own, interface: face },
      ...(usb ? [{ protocol, ports: nfs, source: formatCidr(USB_NETWORK) }] : []),
    ]),
  ]
}

/** What of it the firewall shuts out, as `udp 67`; of a range its first port stands for all. */
export function shutOut(served: ServedCluster, { inputs }: Firewall): string[] {
  const [node] = served.nodes
  return openingsOf(served).flatMap(({ protocol, ports, interface: face }) =>
    ports
      .filter((port) => face !== undefined && !(protocol === 'udp' && NFS_PORTS.includes(Number(port))))
      // Asked only where another server lends the addresses.
      .filter((port) => port !== '4011' || served.network.dhcp === 'proxy')
      .filter((port) => {
        const isDhcp = port === '67'
        return !letsIn(inputs, {
          protocol,
          port: Number(port.split('-')[0]),
          interface: face ?? '',
          source: isDhcp ? '0.0.0.0' : (node?.ip ?? served.server.ip),
          to: isDhcp ? 'broadcast' : 'local',
        })
      })
      .map((port) => `${protocol} ${port}`),
  )
}

/** Of a chain of iptables or nft: `iifname eth0 udp dport '{ 67, 69 }' accept`. */
export const nftRule = ({ protocol, ports, source, interface: face }: Opening): string =>
  [
    ...(face === undefined ? [] : [`iifname ${face}`]),
    ...(source === undefined ? [] : [`ip saddr ${source}`]),
    `${protocol} dport { ${ports.join(', ')} } accept`,
  ].join(' ')

export const iptablesRule = ({ protocol, ports, source, interface: face }: Opening): string =>
  [
    ...(face === undefined ? [] : [`-i ${face}`]),
    ...(source === undefined ? [] : [`-s ${source}`]),
    `-p ${protocol} -m multiport --dports ${ports.join(',').replaceAll('-', ':')} -j ACCEPT`,
  ].join(' ')

/** `allow in on eth0 proto udp from any to any port 67,69`. */
export const ufwRule = ({ protocol, ports, source = 'any', interface: face }: Opening): string =>
  `allow in${face === undefined ? '' : ` on ${face}`} proto ${protocol} from ${source} to any port ${ports.join(',').replaceAll('-', ':')}`

/** The end of an option: `port=67/udp`, `rich-rule=rule …`. */
export const firewalldRules = ({ protocol, ports, source }: Opening): string[] =>
  ports.map((port) =>
    source === undefined
      ? `port=${port}/${protocol}`
      : `rich-rule=rule family=ipv4 source address=${source} port port=${port} protocol=${protocol} accept`,
  )

/** Commands for a shell that open what this machine's firewall shuts; each is put first. */
export function openingLines(
  served: ServedCluster,
  { manager, inputs, zone = 'public' }: Firewall,
): string[] {
  const openings = openingsOf(served)
  switch (manager) {
    case 'ufw':
      return openings.map((opening) => `ufw prepend ${ufwRule(opening)}`)
    case 'firewalld':
      return [
        ...openings
          .flatMap(firewalldRules)
          .map((rule) => `firewall-cmd --permanent --zone=${zone} '--add-${rule}'`),
        'firewall-cmd --reload',
      ]
    default:
      return inputs.flatMap(({ table, chain }) =>
        table.isIptables
          ? openings.map((opening) => `${IPTABLES} ${iptablesRule(opening)}`)
          : nftLines(openings, `${table.family} ${table.name} ${chain}`),
      )
  }
}

const nftLines = (openings: readonly Opening[], chain: string): string[] =>
  openings.map((opening) => `nft insert rule ${chain} ${nftRule(opening).replace(/\{.*\}/, "'$&'")}`)

/**
 * Commands for a shell, in two blocks: nftables, and iptables. They also shut the
 * NFS server towards everybody else. Each is put first, so the last ones win.
 */
export function formatFirewallHints(served: ServedCluster): string {
  const openings = openingsOf(served).toReversed()
  const face = interfaceName(served.server.interface)
  const chain = 'inet filter input'
  return `${[
    '# nftables, where there is a table "inet filter" with a chain "input"',
    ...PROTOCOLS.map(
      (protocol) =>
        `nft insert rule ${chain} iifname != '{ "lo", "${face}" }' ${protocol} dport '{ ${NFS_PORTS.join(', ')} }' drop`,
    ),
    ...nftLines(openings, chain),
    '# iptables',
    ...PROTOCOLS.flatMap((protocol) => {
      const ports = `-p ${protocol} -m multiport --dports ${NFS_PORTS.join(',')}`
      return [`${IPTABLES} ! -i ${face} ${ports} -j DROP`, `${IPTABLES} -i lo ${ports} -j ACCEPT`]
    }),
    ...openings.map((opening) => `${IPTABLES} ${iptablesRule(opening)}`),
  ].join('\n')}\n`
}

const IPTABLES = 'iptables -I INPUT'
