/**
 * Interfaces and Wi-Fi of a node as profiles for the network renderers, and the
 * candidates for systems whose network daemon is only known on the node.
 */

import { bytesOf } from '../boot/boot-files.ts'
import { type BootDraft, reveal } from '../customise/boot-draft.ts'
import type { SystemFacts } from '../node/edits.ts'
import { formatDhcpcdConf } from './network/dhcpcd.ts'
import { formatInterfacesD } from './network/interfaces-d.ts'
import { formatNetworkdUnit } from './network/networkd.ts'
import { formatNmKeyfile } from './network/nm-keyfile.ts'
import type { NetworkProfile } from './network/profile.ts'
import { formatWpaSupplicant } from './network/wpa-supplicant.ts'

/** Wi-Fi belongs to the interface named wl…, which is added as wlan0 on DHCP when nobody spoke of one. */
export function profilesOf({ network = [], wifi }: Pick<SystemFacts, 'network' | 'wifi'>): NetworkProfile[] {
  const profiles: NetworkProfile[] = network.map(({ name, address, dns, domain }) => ({
    name,
    dns,
    address,
    domain,
  }))
  if (wifi === undefined) return profiles
  const radio = profiles.find(({ name }) => name.startsWith('wl'))
  if (radio === undefined) profiles.push({ name: 'wlan0', dns: [], wifi })
  else radio.wifi = wifi
  return profiles
}

/**
 * Put a candidate for each network daemon into the payload; the early step
 * `network` installs those of the daemon that the image runs. Keys of Wi-Fi go
 * to the secrets.
 */
export function addNetworkCandidates(
  draft: BootDraft,
  profiles: readonly NetworkProfile[],
  node: string,
): void {
  for (const profile of profiles) {
    const { name, wifi } = profile
    draft.payload.set(`network/${name}.network`, bytesOf(formatNetworkdUnit(profile)))
    draft.payload.set(`network/${name}.interfaces`, bytesOf(formatInterfacesD(profile)))
    const keyfile = formatNmKeyfile(profile, node)
    if (wifi === undefined) {
      draft.payload.set(`network/${name}.nmconnection`, bytesOf(keyfile))
      continue
    }
    if (wifi.psk !== undefined) reveal(draft, wifi.psk)
    draft.secretFiles.set(`network/${name}.nmconnection`, keyfile)
    draft.secretFiles.set('network/wpa_supplicant.conf', formatWpaSupplicant({ ...profile, wifi }))
  }
  const dhcpcd = formatDhcpcdConf(profiles)
  if (dhcpcd !== '') draft.payload.set('network/dhcpcd.conf', bytesOf(dhcpcd))
}
