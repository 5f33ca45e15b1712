/**
 * NetworkManager keyfile: /etc/NetworkManager/system-connections/<name>.nmconnection.
 *
 * NetworkManager reads it only if it belongs to root with mode 0600, which FAT
 * cannot say: first boot sets it. Lists end in `;`. A Wi-Fi name is written as
 * its bytes whenever a letter of it could mean something to the key file.
 *
 * Source: nm-settings-keyfile(5).
 */
import { checkProfile, connectionUuid, HIGHEST_PRIORITY, type NetworkProfile, networksOf } from './profile.ts'

const formatSsid = (ssid: string): string =>
  /^[A-Za-z](?:[A-Za-z0-9 _.-]*[A-Za-z0-9_.-])?$/.test(ssid)
    ? ssid
    : [...Buffer.from(ssid)].map((byte) => `${byte};`).join('')

/** A backslash means something in a key file, and blanks in front are dropped. */
const escapeValue = (text: string): string => text.replaceAll('\\', '\\\\').replace(/^ /, '\\s')

/** A connection is of one network: a radio that may join several has as many. */
export function formatNmKeyfiles(profile: NetworkProfile, node: string): { name: string; content: string }[] {
  const { name, wifi } = profile
  if (wifi === undefined) return [{ name, content: formatNmKeyfile(profile, node) }]
  return networksOf(wifi).map((network, index) => {
    // `_` sorts behind the dot of the first one's file.
    const id = index === 0 ? name : `${name}_${index + 1}`
    const own = { ...profile, wifi: { ...network, country: wifi.country } }
    return { name: id, content: formatNmKeyfile(own, node, { id, priority: HIGHEST_PRIORITY - index }) }
  })
}

/**
 * The connection of the network that is preferred.
 * @param node its name, for the connection's identity
 */
export function formatNmKeyfile(
  profile: NetworkProfile,
  node: string,
  { id, priority } = { id: profile.name, priority: HIGHEST_PRIORITY },
): string {
  const { name, address, dns, domain, wifi } = checkProfile(profile)
  const lines = [
    '[connection]',
    `id=piimage-${id}`,
    `uuid=${connectionUuid(node, id)}`,
    `type=${wifi === undefined ? 'ethernet' : 'wifi'}`,
    `interface-name=${name}`,
    `autoconnect-priority=${priority}`,
  ]
  if (wifi !== undefined) {
    lines.push('', '[wifi]', 'mode=infrastructure', `ssid=${formatSsid(wifi.ssid)}`)
    if (wifi.hidden) lines.push('hidden=true')
    // Of a network with both, NetworkManager itself tries WPA3 first, if it has the pass phrase.
    if (wifi.sae !== undefined) {
      const kind = wifi.psk === undefined ? 'sae' : 'wpa-psk'
      lines.push('', '[wifi-security]', `key-mgmt=${kind}`, `psk=${escapeValue(wifi.sae.reveal())}`)
    } else if (wifi.psk !== undefined)
      lines.push('', '[wifi-security]', 'key-mgmt=wpa-psk', `psk=${wifi.psk.reveal()}`)
  }
  lines.push('', '[ipv4]')
  if (address === undefined) lines.push('method=auto')
  else {
    const gateway = address.gateway === undefined ? '' : `,${address.gateway}`
    lines.push('method=manual', `address1=${address.ip}/${address.prefix}${gateway}`)
  }
  const v4 = dns.filter((server) => !server.includes(':'))
  const v6 = dns.filter((server) => server.includes(':'))
  if (v4.length > 0) lines.push(`dns=${v4.map((server) => `${server};`).join('')}`)
  if (domain !== undefined) lines.push(`dns-search=${domain};`)
  lines.push('', '[ipv6]', 'method=auto')
  if (v6.length > 0) lines.push(`dns=${v6.map((server) => `${server};`).join('')}`)
  return `${lines.join('\n')}\n`
}
