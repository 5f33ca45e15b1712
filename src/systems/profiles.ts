/**
 * Interfaces and Wi-Fi of a node as profiles for the network renderers, and the
 * candidates for systems whose network daemon is only known on the node.
 */

import { bytesOf } from '../boot/boot-files.ts'
import type { SystemFacts } from '../node/state.ts'
import { formatDhcpcdConf } from './network/dhcpcd.ts'
import { formatInterfacesD } from './network/interfaces-d.ts'
import { formatNetworkdUnit } from './network/networkd.ts'
import { formatNmKeyfiles } from './network/nm-keyfile.ts'
import type { NetworkProfile } from './network/profile.ts'
import { formatWpaSupplicant } from './network/wpa-supplicant.ts'
import type { Settings } from './settings.ts'

/** Wi-Fi belongs to the interface named wl…, which is added as wlan0 on DHCP when nobody spoke of one. */
export function profilesOf({ network = [], wifi }: Pick<SystemFacts, 'network' | 'wifi'>): NetworkProfile[] {
  const profiles: NetworkProfile[] = network.map(({ name, address, dns, domain }) => ({
    name,
    dns,
    address,
    domain,
  }))
  if (wifi?.ssid === undefined) return profiles
  const access = { ...wifi, ssid: wifi.ssid }
  const radio = profiles.find(({ name }) => name.startsWith('wl'))
  if (radio === undefined) profiles.push({ name: 'wlan0', dns: [], wifi: access })
  else radio.wifi = access
  return profiles
}

/**
 * A candidate for each network daemon; the early step `network` installs those
 * of the daemon that the image runs. Keys of Wi-Fi are among the secrets.
 */
export function networkCandidates(
  profiles: readonly NetworkProfile[],
  node: string,
): Pick<Settings, 'payload' | 'secretFiles'> {
  const payload = new Map<string, Uint8Array>()
  const secretFiles = new Map<string, string>()
  for (const profile of profiles) {
    const { name, wifi } = profile
    payload.set(`network/${name}.network`, bytesOf(formatNetworkdUnit(profile)))
    payload.set(`network/${name}.interfaces`, bytesOf(formatInterfacesD(profile)))
    for (const keyfile of formatNmKeyfiles(profile, node)) {
      const path = `network/${keyfile.name}.nmconnection`
      if (wifi === undefined) payload.set(path, bytesOf(keyfile.content))
      else secretFiles.set(path, keyfile.content)
    }
    if (wifi !== undefined)
      secretFiles.set('network/wpa_supplicant.conf', formatWpaSupplicant({ ...profile, wifi }))
  }
  const dhcpcd = formatDhcpcdConf(profiles)
  if (dhcpcd !== '') payload.set('network/dhcpcd.conf', bytesOf(dhcpcd))
  return { payload, secretFiles }
}
