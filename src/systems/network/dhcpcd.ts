/**
 * dhcpcd (Raspberry Pi OS up to Bullseye): lines for the end of /etc/dhcpcd.conf.
 *
 * A line `interface NAME` starts a section that ends with the next one, so all
 * interfaces are rendered into one text. First boot keeps it in a marked block.
 * An interface on DHCP needs no lines: that is what dhcpcd does anyway.
 *
 * Source: dhcpcd.conf(5).
 */
import { checkProfile, type NetworkProfile } from './profile.ts'

export function formatDhcpcdConf(profiles: readonly NetworkProfile[]): string {
  const lines: string[] = []
  for (const profile of profiles) {
    const { name, address, dns, domain } = checkProfile(profile)
    const settings: string[] = []
    if (address !== undefined) {
      settings.push(`static ip_address=${address.ip}/${address.prefix}`)
      if (address.gateway !== undefined) settings.push(`static routers=${address.gateway}`)
    }
    if (dns.length > 0) settings.push(`static domain_name_servers=${dns.join(' ')}`)
    if (domain !== undefined) settings.push(`static domain_search=${domain}`)
    if (settings.length > 0) lines.push(`interface ${name}`, ...settings)
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}
