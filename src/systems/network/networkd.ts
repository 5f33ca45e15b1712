/**
 * systemd-networkd: /etc/systemd/network/10-piimage-<name>.network.
 *
 * Wi-Fi itself is wpa_supplicant's; networkd gives the interface its address.
 * Source: systemd.network(5).
 */
import { formatIni } from '../../ini.ts'
import { checkProfile, type NetworkProfile } from './profile.ts'

export function formatNetworkdUnit(profile: NetworkProfile): string {
  const { name, address, dns, domain, wifi } = checkProfile(profile)
  return formatIni({
    Match: { Name: name },
    Network: {
      DHCP: address === undefined ? 'yes' : 'no',
      Address: address && `${address.ip}/${address.prefix}`,
      Gateway: address?.gateway,
      DNS: dns,
      Domains: domain,
    },
    // The second way to the same network is used only while the cable is out.
    DHCPv4: wifi !== undefined && address === undefined ? { RouteMetric: '600' } : undefined,
  })
}
