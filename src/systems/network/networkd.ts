/**
 * systemd-networkd: /etc/systemd/network/10-piimage-<name>.network.
 *
 * Wi-Fi itself is wpa_supplicant's; networkd gives the interface its address.
 * Source: systemd.network(5).
 */
import { checkProfile, type NetworkProfile } from './profile.ts'

export function formatNetworkdUnit(profile: NetworkProfile): string {
  const { name, address, dns, domain, wifi } = checkProfile(profile)
  const lines = ['[Match]', `Name=${name}`, '', '[Network]']
  if (address === undefined) lines.push('DHCP=yes')
  else {
    lines.push('DHCP=no', `Address=${address.ip}/${address.prefix}`)
    if (address.gateway !== undefined) lines.push(`Gateway=${address.gateway}`)
  }
  for (const server of dns) lines.push(`DNS=${server}`)
  if (domain !== undefined) lines.push(`Domains=${domain}`)
  // The second way to the same network is used only while the cable is out.
  if (wifi !== undefined && address === undefined) lines.push('', '[DHCPv4]', 'RouteMetric=600')
  return `${lines.join('\n')}\n`
}
