/**
 * The lines that let a firewall's owner open what the nodes need, and shut it
 * towards everybody else. Printed for them; piimage sets no rule, because it
 * can't know which of nftables, iptables, ufw or firewalld is in charge.
 */
import { formatCidr, networkOf, parseIpv4 } from '../cluster/ipv4.ts'
import type { ServedCluster } from '../netroot/served.ts'
import { interfaceName } from '../plain-value.ts'
import { isEthernetNode, tftpPorts } from './dnsmasq.ts'
import { MOUNTD_PORT, nfsAddresses, USB_NETWORK } from './exports.ts'

/** DHCP, TFTP and the port on which a PXE client asks beside another DHCP server. */
const BOOT_PORTS = [67, 69, 4011]
/** The port mapper, NFS and mountd. */
const NFS_PORTS = [111, 2049, MOUNTD_PORT]

/** Commands for a shell, in two blocks: nftables, and iptables. Each is put first, so the last ones win. */
export function formatFirewallHints(served: ServedCluster): string {
  const face = interfaceName(served.server.interface)
  const own = formatCidr(networkOf(parseIpv4(served.server.ip) ?? 0, served.server.prefix))
  const usb = nfsAddresses(served).length > 1 ? [formatCidr(USB_NETWORK)] : []
  const { first, last } = tftpPorts(served)
  const boots = served.nodes.some(isEthernetNode)
  return `${[
    '# nftables, where there is a table "inet filter" with a chain "input"',
    ...PROTOCOLS.flatMap((protocol) => {
      const ports = `${protocol} dport '{ ${NFS_PORTS.join(', ')} }'`
      return [
        `${NFT} iifname != '{ "lo", "${face}" }' ${ports} drop`,
        `${NFT} iifname ${face} ip saddr ${own} ${ports} accept`,
        ...usb.map((network) => `${NFT} ip saddr ${network} ${ports} accept`),
      ]
    }),
    ...(boots
      ? [`${NFT} iifname ${face} udp dport '{ ${BOOT_PORTS.join(', ')}, ${first}-${last} }' accept`]
      : []),
    '# iptables',
    ...PROTOCOLS.flatMap((protocol) => {
      const ports = `-p ${protocol} -m multiport --dports ${NFS_PORTS.join(',')}`
      return [
        `${IPTABLES} ! -i ${face} ${ports} -j DROP`,
        `${IPTABLES} -i lo ${ports} -j ACCEPT`,
        `${IPTABLES} -i ${face} -s ${own} ${ports} -j ACCEPT`,
        ...usb.map((network) => `${IPTABLES} -s ${network} ${ports} -j ACCEPT`),
      ]
    }),
    ...(boots
      ? [
          `${IPTABLES} -i ${face} -p udp -m multiport --dports ${BOOT_PORTS.join(',')},${first}:${last} -j ACCEPT`,
        ]
      : []),
  ].join('\n')}\n`
}

const PROTOCOLS = ['tcp', 'udp']
const NFT = 'nft insert rule inet filter input'
const IPTABLES = 'iptables -I INPUT'
