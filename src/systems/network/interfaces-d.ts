/**
 * ifupdown: /etc/network/interfaces.d/<name>.
 *
 * `allow-hotplug` and not `auto`: boot must not wait for a cable.
 * Source: interfaces(5); resolvconf(8) for the `dns-` lines.
 */
import { netmaskOf } from '../../cluster/ipv4.ts'
import { checkProfile, type NetworkProfile } from './profile.ts'

export function formatInterfacesD(profile: NetworkProfile): string {
  const { name, address, dns, domain, wifi } = checkProfile(profile)
  const lines = [`allow-hotplug ${name}`]
  if (address === undefined) lines.push(`iface ${name} inet dhcp`)
  else {
    lines.push(
      `iface ${name} inet static`,
      `  address ${address.ip}`,
      `  netmask ${netmaskOf(address.prefix)}`,
    )
    if (address.gateway !== undefined) lines.push(`  gateway ${address.gateway}`)
  }
  if (dns.length > 0) lines.push(`  dns-nameservers ${dns.join(' ')}`)
  if (domain !== undefined) lines.push(`  dns-search ${domain}`)
  if (wifi !== undefined) lines.push('  wpa-conf /etc/wpa_supplicant/wpa_supplicant.conf')
  return `${lines.join('\n')}\n`
}
