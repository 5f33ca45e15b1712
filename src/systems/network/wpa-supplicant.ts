/**
 * /etc/wpa_supplicant/wpa_supplicant.conf, for every stack but NetworkManager.
 *
 * The name is written as hex, which needs no quoting at all; a derived key
 * stands without quotes (in quotes it would be taken for a pass phrase).
 *
 * Source: wpa_supplicant.conf(5) and its example file.
 */
import {
  checkProfile,
  type NetworkProfile,
  networksOf,
  type WifiAccess,
  type WifiNetwork,
} from './profile.ts'

/** @param profile one whose `wifi` is set */
export function formatWpaSupplicant(profile: NetworkProfile & { wifi: WifiAccess }): string {
  checkProfile(profile)
  const networks = networksOf(profile.wifi)
  return [
    `country=${profile.wifi.country}`,
    'ctrl_interface=DIR=/var/run/wpa_supplicant GROUP=netdev',
    'update_config=1',
    ...networks.flatMap((network, index) =>
      // The higher number is tried first, and one network alone needs none.
      networkLines(network, networks.length === 1 ? undefined : networks.length - index),
    ),
    '',
  ].join('\n')
}

const networkLines = (network: WifiNetwork, priority: number | undefined): string[] => [
  'network={',
  ...(network.hidden ? ['\tscan_ssid=1'] : []),
  `\tssid=${Buffer.from(network.ssid).toString('hex')}`,
  ...securityLines(network),
  ...(priority === undefined ? [] : [`\tpriority=${priority}`]),
  '}',
]

/** A value in quotes ends at the last quote of its line, so that a quote inside is only a quote. */
function securityLines({ psk, sae }: WifiNetwork): string[] {
  if (sae === undefined) return [psk === undefined ? '\tkey_mgmt=NONE' : `\tpsk=${psk.reveal()}`]
  const password = `\tsae_password="${sae.reveal()}"`
  // WPA3 asks for protected management frames; beside WPA2 they are up to the access point.
  return psk === undefined
    ? ['\tkey_mgmt=SAE', '\tieee80211w=2', password]
    : ['\tkey_mgmt=WPA-PSK SAE', '\tieee80211w=1', `\tpsk=${psk.reveal()}`, password]
}
