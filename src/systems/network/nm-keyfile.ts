/**
 * NetworkManager keyfile: /etc/NetworkManager/system-connections/<name>.nmconnection.
 *
 * NetworkManager reads it only if it belongs to root with mode 0600, which FAT
 * cannot say: first boot sets it. Lists end in `;`. A Wi-Fi name is written as
 * its bytes whenever a letter of it could mean something to the key file.
 *
 * Source: nm-settings-keyfile(5).
 */
import { formatIni, type Settings } from '../../ini.ts'
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
  const v4 = dns.filter((server) => !server.includes(':'))
  const v6 = dns.filter((server) => server.includes(':'))
  return formatIni({
    connection: {
      id: `piimage-${id}`,
      uuid: connectionUuid(node, id),
      type: wifi === undefined ? 'ethernet' : 'wifi',
      'interface-name': name,
      'autoconnect-priority': String(priority),
    },
    wifi: wifi && {
      mode: 'infrastructure',
      ssid: formatSsid(wifi.ssid),
      hidden: wifi.hidden ? 'true' : undefined,
    },
    'wifi-security': wifi && securityOf(wifi),
    ipv4: {
      method: address === undefined ? 'auto' : 'manual',
      address1: address && [`${address.ip}/${address.prefix}`, address.gateway].filter(Boolean).join(','),
      dns: listOf(v4),
      'dns-search': listOf([domain].filter((one) => one !== undefined)),
    },
    ipv6: { method: 'auto', dns: listOf(v6) },
  })
}

function securityOf({
  psk,
  sae,
}: Pick<NonNullable<NetworkProfile['wifi']>, 'psk' | 'sae'>): Settings | undefined {
  // Of a network with both, NetworkManager itself tries WPA3 first, if it has the pass phrase.
  if (sae !== undefined)
    return { 'key-mgmt': psk === undefined ? 'sae' : 'wpa-psk', psk: escapeValue(sae.reveal()) }
  return psk && { 'key-mgmt': 'wpa-psk', psk: psk.reveal() }
}

const listOf = (values: readonly string[]): string | undefined =>
  values.length === 0 ? undefined : values.map((value) => `${value};`).join('')
