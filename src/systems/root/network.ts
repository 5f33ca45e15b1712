/**
 * The network of a node whose root comes over it: the kernel sets the address
 * from `ip=`, and no daemon of the image may take the interface down or give it
 * another address, not even for a moment.
 *
 * Every daemon that the image has is told so, each in a file of its own: which
 * one runs is decided on the node.
 *
 * Source: NetworkManager.conf(5), systemd.network(5), dhcpcd.conf(5),
 * interfaces(5), resolved.conf(5).
 */
import { formatIni } from '../../ini.ts'
import { file, type RootEdit } from './root-edit.ts'
import type { RootLook, RootSnapshot } from './root-snapshot.ts'

export interface RootNetwork {
  device: string
  ip: string
  prefix: number
  gateway?: string
  dns: readonly string[]
  domain?: string
}

export const networkLook: RootLook = {
  paths: ['/etc/NetworkManager', '/etc/systemd/network', '/etc/dhcpcd.conf', '/etc/network/interfaces'],
  texts: ['/etc/dhcpcd.conf'],
  links: ['/etc/resolv.conf'],
}

export function networkEdits(network: RootNetwork, { has, text, target }: RootSnapshot): RootEdit[] {
  const { device, dns, domain } = network
  const edits: RootEdit[] = []
  if (has('/etc/NetworkManager'))
    edits.push(file('/etc/NetworkManager/conf.d/90-piimage-netroot.conf', networkManager(device)))
  if (has('/etc/systemd/network'))
    edits.push(file(`/etc/systemd/network/00-piimage-${device}.network`, networkd(network)))
  if (has('/etc/dhcpcd.conf')) edits.push(file('/etc/dhcpcd.conf', dhcpcd(text('/etc/dhcpcd.conf'), device)))
  if (has('/etc/network/interfaces'))
    edits.push(file(`/etc/network/interfaces.d/piimage-${device}`, `iface ${device} inet manual\n`))
  const resolved = /systemd\/resolve\//.test(target('/etc/resolv.conf'))
  if (resolved && dns.length > 0)
    edits.push(file('/etc/systemd/resolved.conf.d/90-piimage.conf', resolvedConf(dns, domain)))
  if (!resolved) edits.push(file('/etc/resolv.conf', resolvConf(dns, domain)))
  return edits
}

const heading = (device: string): string => `# Written by piimage: the root comes over ${device}.\n`

const networkManager = (device: string): string =>
  heading(device) +
  formatIni({ main: { dns: 'none' }, keyfile: { 'unmanaged-devices': `interface-name:${device}` } })

const networkd = ({ device, ip, prefix, gateway, dns, domain }: RootNetwork): string =>
  heading(device) +
  formatIni({
    Match: { Name: device },
    Network: {
      Address: `${ip}/${prefix}`,
      Gateway: gateway,
      DNS: dns,
      Domains: domain,
      DHCP: 'no',
      KeepConfiguration: 'yes',
      ConfigureWithoutCarrier: 'yes',
      IgnoreCarrierLoss: 'yes',
    },
  })

const dhcpcd = (stock: string, device: string): string => `${stock.trimEnd()}

# Written by piimage: the root comes over ${device}.
denyinterfaces ${device}
nohook resolv.conf
`

const resolvedConf = (dns: readonly string[], domain: string | undefined): string =>
  formatIni({ Resolve: { DNS: dns.join(' '), Domains: domain } })

const resolvConf = (dns: readonly string[], domain: string | undefined): string =>
  [
    '# Written by piimage.',
    ...(domain === undefined ? [] : [`search ${domain}`]),
    ...dns.map((server) => `nameserver ${server}`),
    '',
  ].join('\n')
