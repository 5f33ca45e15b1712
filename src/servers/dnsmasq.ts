/**
 * dnsmasq for the nodes that boot over Ethernet: an address, the answer that a
 * Pi's boot ROM looks for, and their files over TFTP.
 *
 * Who lends addresses decides the shape: this server (`own`: to boards it knows,
 * or from a range as well), the router overlay's settings for the same dnsmasq
 * (`router`: then only what is missing is added), or somebody else (`proxy`).
 * Debian starts one dnsmasq for all of /etc/dnsmasq.d, so DNS is switched off
 * only where nobody else's file is there to want it.
 *
 * Source: dnsmasq(8). `/var/log/piimage-netroot.log` has what `log-dhcp` and
 * TFTP say; `netroot status` reads it.
 */
import { boards } from '../cluster/boards.ts'
import { contains, formatIpv4, netmaskOf, networkOf, parseIpv4 } from '../cluster/ipv4.ts'
import { NetrootError } from '../errors.ts'
import type { ServedCluster, ServedNode } from '../netroot/served.ts'
import { interfaceName } from '../plain-value.ts'
import { ROUTER_FILE, type Router, readRouter } from './dnsmasq-settings.ts'
import type { Machine } from './machine.ts'
import { fileText, NETROOT_LOG, RESERVATIONS_FILE } from './server-file.ts'
import { dnsmasqValue, plainPath } from './written-value.ts'

/** The others boot over USB, and dnsmasq never hears them. */
export const isEthernetNode = ({ model }: ServedNode): boolean => boards[model].netboot !== 'usb'

/** Three blanks: the first ROM of the 3B compares them too; later ones look for the words alone. */
const PXE_SERVICE = '0,"Raspberry Pi Boot   "'

/** Prefixes of MAC addresses that the IEEE gave to Raspberry Pi. */
const PI_PREFIXES = ['28:cd:c1', '2c:cf:67', '88:a2:9e', 'b8:27:eb', 'd8:3a:dd', 'dc:a6:32', 'e4:5f:01']

const PI_TAG = 'piimage-pi'

/** Boards whose ROM misses an answer that comes at once: of all models there are, the 3B. */
const SLOW_TAG = 'piimage-3b'

const OWN_TAG = 'piimage-netroot'

/** Above the kernel's own choice of ports (32768–60999), so that a firewall can name them. */
const FIRST_TFTP_PORT = 61000

/** dnsmasq's own limit, 50, is met by a cluster that comes up at once. */
export function tftpPorts({ nodes }: ServedCluster): { first: number; last: number; most: number } {
  const most = Math.min(900, Math.max(200, 2 * nodes.length))
  return { first: FIRST_TFTP_PORT, last: FIRST_TFTP_PORT + most - 1, most }
}

/** Whether this dnsmasq answers names: the router's settings are beside ours, and count on it. */
export const hasDns = ({ dnsmasq }: Machine): boolean => dnsmasq.some(({ file }) => file === ROUTER_FILE)

export type Lender = 'own' | 'router' | 'proxy'

export interface DnsmasqPlan {
  lender: Lender
  /** Whose address is in our file of reservations; undefined: there is none, because others see to that. */
  reserved?: ServedNode[]
}

/**
 * Who lends addresses on the cluster's network, and to whom we must.
 * @throws {NetrootError} the router's settings contradict the cluster file
 */
export function planDnsmasq(served: ServedCluster, machine: Machine): DnsmasqPlan {
  const router = routerOf(served, machine)
  const known = served.nodes.filter((node) => isEthernetNode(node) && node.mac !== undefined)
  if (router?.lends === true) {
    if (served.network.dhcp === 'proxy')
      throw new NetrootError(`${ROUTER_FILE} leases addresses, and the cluster file says dhcp: proxy`, {
        hint: 'Give the head its settings again, or take dhcp: proxy out of the cluster file.',
      })
    const missing = known.filter((node) => !isReserved(node, router))
    return missing.length === 0 ? { lender: 'router' } : { lender: 'router', reserved: missing }
  }
  if (served.network.dhcp === 'proxy') return { lender: 'proxy' }
  return { lender: 'own', reserved: known }
}

function routerOf({ server }: ServedCluster, { dnsmasq }: Machine): Router | undefined {
  const settings = dnsmasq.find(({ file }) => file === ROUTER_FILE)?.settings
  return settings === undefined ? undefined : readRouter(settings, server.interface)
}

/** @throws {NetrootError} the router gives the address to another board, or the board another address */
function isReserved(node: ServedNode, router: Router): boolean {
  const same = router.reservations.find(({ mac }) => mac.toLowerCase() === node.mac)
  const other = router.reservations.find(({ ip, mac }) => ip === node.ip && mac.toLowerCase() !== node.mac)
  const wrong = same !== undefined && same.ip !== node.ip ? same : other
  if (wrong !== undefined)
    throw new NetrootError(
      `node ${node.name} is ${node.mac} with ${node.ip}, and ${ROUTER_FILE} gives ${wrong.ip ?? 'any address'} to ${wrong.mac}`,
      { hint: 'The router was set up from an older cluster file: give it its settings again.' },
    )
  return same !== undefined
}

/** `mac,address,name` of each node: dnsmasq's dhcp-hostsfile. */
export const formatReservations = (reserved: readonly ServedNode[]): string =>
  fileText(reserved.map(({ mac, ip, name }) => [mac ?? '', ip, name].map(dnsmasqValue).join(',')))

/** The whole of dnsmasq's settings file. */
export function formatDnsmasq(
  served: ServedCluster,
  { lender, reserved }: DnsmasqPlan,
  machine: Machine,
): string {
  const face = interfaceName(served.server.interface)
  const ports = tftpPorts(served)
  const isMacLayout = served.nodes.some((node) => node.tftpNames.some(isMacFolder))
  const others = served.nodes.filter(
    ({ mac }) => mac !== undefined && !PI_PREFIXES.some((prefix) => mac.startsWith(prefix)),
  )
  const slow = served.nodes.filter(({ model, mac }) => boards[model].replyDelay > 0 && mac !== undefined)
  const delay = Math.max(...slow.map(({ model }) => boards[model].replyDelay))
  return fileText([
    '',
    '# Only towards the cluster; the port may come up, or get its address, later.',
    `interface=${face}`,
    'bind-dynamic',
    ...(hasDns(machine) ? [] : ['# No DNS.', 'port=0']),
    '',
    ...addresses(served, lender),
    reserved === undefined ? undefined : `dhcp-hostsfile=${dnsmasqValue(RESERVATIONS_FILE)}`,
    '',
    '# What the boot ROM looks for in the answer; the blanks belong to it. A PC that boots by PXE gets none.',
    ...PI_PREFIXES.map((prefix) => `dhcp-mac=set:${PI_TAG},${prefix}:*:*:*`),
    ...others.map(({ mac = '' }) => `dhcp-mac=set:${PI_TAG},${dnsmasqValue(mac)}`),
    `pxe-service=tag:${PI_TAG},${PXE_SERVICE}`,
    ...(slow.length === 0 ? [] : ['# The 3B misses an answer that comes at once.']),
    ...slow.map(({ mac = '' }) => `dhcp-mac=set:${SLOW_TAG},${dnsmasqValue(mac)}`),
    slow.length === 0 ? undefined : `dhcp-reply-delay=tag:${SLOW_TAG},${delay}`,
    '',
    `enable-tftp=${face}`,
    `tftp-root=${dnsmasqValue(plainPath(served.tftpRoot))},${face}`,
    ...(isMacLayout
      ? ['# A board with a folder of its MAC address sees nothing else.', 'tftp-unique-root=mac']
      : []),
    `tftp-max=${ports.most}`,
    `tftp-port-range=${ports.first},${ports.last}`,
    '',
    '# What piimage netroot status reads.',
    'log-dhcp',
    `log-facility=${dnsmasqValue(NETROOT_LOG)}`,
  ])
}

const isMacFolder = (name: string): boolean => /^([0-9a-f]{2}-){5}[0-9a-f]{2}$/.test(name)

function addresses({ server, network, nodes }: ServedCluster, lender: Lender): string[] {
  const subnet = networkOf(parseIpv4(server.ip) ?? 0, server.prefix)
  const base = formatIpv4(subnet.base)
  const mask = netmaskOf(server.prefix)
  if (lender === 'router') return [`# Addresses come from ${ROUTER_FILE}.`]
  if (lender === 'proxy')
    return [
      '# Addresses come from the DHCP server that is there already.',
      `dhcp-range=${base},proxy,${mask}`,
      `dhcp-ignore=tag:!${PI_TAG}`,
    ]
  for (const { name, ip } of nodes.filter(isEthernetNode))
    if (!contains(subnet, parseIpv4(ip) ?? -1))
      throw new NetrootError(
        `node ${name} has ${ip}, which is not on ${server.interface} (${base}/${server.prefix})`,
        {
          hint: 'Give the node an address on that network, or serve from an interface on the network of the nodes.',
        },
      )
  const lent = network.dhcp === undefined || network.dhcp === 'proxy' ? undefined : network.dhcp
  const option = (name: string, values: readonly string[]): string =>
    [`dhcp-option=tag:${OWN_TAG}`, `option:${name}`, ...values.map(dnsmasqValue)].join(',')
  return [
    ...(lent === undefined
      ? ['# Addresses for the boards in the cluster file, and for nobody else.']
      : ['# The boards in the cluster file get their own address, others one of these.']),
    'dhcp-authoritative',
    lent === undefined
      ? `dhcp-range=set:${OWN_TAG},${base},static,${mask},12h`
      : `dhcp-range=${[`set:${OWN_TAG}`, ...[lent.from, lent.to, mask, lent.lease].map(dnsmasqValue)].join(',')}`,
    // Without a value dnsmasq gives none; otherwise it would name itself.
    option('router', network.gateway === undefined ? [] : [network.gateway]),
    ...(network.dns.length === 0 ? [] : [option('dns-server', network.dns)]),
    ...(network.domain === undefined ? [] : [option('domain-name', [network.domain])]),
  ]
}
