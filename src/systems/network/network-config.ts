/**
 * cloud-init's network-config, version 2 (netplan's words) and version 1.
 *
 * Two forms that look right leave a node without network and without an error
 * where cloud-init renders for systemd-networkd itself: a default route written
 * `to: default`, and a `match:` by name pattern. So the route is 0.0.0.0/0 and
 * the stanza's key is the real name of the interface.
 *
 * Source: cloud-init documentation, "Networking config Version 1" and "2".
 */

import type { Tree, TreeMap } from '../../boot/cloud-init.ts'
import { UsageError } from '../../errors.ts'
import {
  checkProfile,
  HIGHEST_PRIORITY,
  type NetworkProfile,
  networksOf,
  type WifiNetwork,
} from './profile.ts'

/**
 * As the router says: an address by itself, or by DHCP where it asks for that.
 * Without the key netplan tells NetworkManager to ignore IPv6.
 */
const ipv6 = { dhcp6: true } as const

function addresses({ address, dns, domain }: NetworkProfile): TreeMap {
  const tree: TreeMap = { dhcp4: address === undefined, ...ipv6 }
  if (address !== undefined) {
    tree.addresses = [`${address.ip}/${address.prefix}`]
    if (address.gateway !== undefined) tree.routes = [{ to: '0.0.0.0/0', via: address.gateway }]
  }
  if (dns.length > 0 || domain !== undefined) {
    const nameservers: TreeMap = {}
    if (dns.length > 0) nameservers.addresses = [...dns]
    if (domain !== undefined) nameservers.search = [domain]
    tree.nameservers = nameservers
  }
  return tree
}

/**
 * Version 2, with the `network:` key around it.
 *
 * The file replaces everything the image would do by itself, so a node that
 * says only something about Wi-Fi gets its DHCP on eth0 restated.
 *
 * systemd-networkd holds up a boot for a port without a cable unless the port
 * is optional; and the images that have it come with a netplan too old for
 * `regulatory-domain` (before 0.107), which refuses the whole file: the
 * kernel's command line says the country there.
 */
export function networkConfigV2(
  profiles: readonly NetworkProfile[],
  renderer: 'network-manager' | 'networkd' = 'network-manager',
): TreeMap {
  const isNetworkd = renderer === 'networkd'
  const ethernets: TreeMap = {}
  const wifis: TreeMap = {}
  for (const profile of profiles) {
    const { name, wifi } = checkProfile(profile)
    if (/^br\d/.test(name)) {
      throw new UsageError(`${name} is a bridge, and this image has none`, {
        hint: 'Use eth0, or an image that makes the bridge itself (ClusterCTRL).',
      })
    }
    if (wifi === undefined) {
      ethernets[name] = isNetworkd ? { ...addresses(profile), optional: true } : addresses(profile)
      continue
    }
    wifis[name] = {
      ...addresses(profile),
      ...(isNetworkd ? {} : { 'regulatory-domain': wifi.country }),
      'access-points': accessPoints(networksOf(wifi), !isNetworkd),
      optional: true,
    }
  }
  if (Object.keys(ethernets).length === 0) ethernets.eth0 = { dhcp4: true, ...ipv6, optional: true }
  const network: TreeMap = { version: 2, ethernets }
  if (Object.keys(wifis).length > 0) network.wifis = wifis
  return { network }
}

/** @param ranked NetworkManager is told which to prefer; networkd's netplan has no word for it */
const accessPoints = (networks: readonly WifiNetwork[], ranked: boolean): TreeMap =>
  Object.fromEntries(
    networks.map((network, index) => {
      const access = accessPoint(network)
      if (ranked && networks.length > 1)
        access.networkmanager = {
          passthrough: { 'connection.autoconnect-priority': String(HIGHEST_PRIORITY - index) },
        }
      return [network.ssid, access]
    }),
  )

function accessPoint({ hidden, psk, sae }: WifiNetwork): TreeMap {
  const access: TreeMap = {}
  if (hidden) access.hidden = true
  // Of a network with both, the pass phrase lets the node's own daemon choose.
  if (sae !== undefined && psk === undefined)
    access.auth = { 'key-management': 'sae', password: sae.reveal() }
  else if (psk !== undefined) access.password = (sae ?? psk).reveal()
  return access
}

/** Version 1, without a `network:` key: what cloud-init before 18.x and HypriotOS read. No Wi-Fi. */
export function networkConfigV1(profiles: readonly NetworkProfile[]): TreeMap {
  const config: Tree[] = profiles.map((profile) => {
    const { name, address, dns, domain } = checkProfile(profile)
    const subnet: TreeMap = address === undefined ? { type: 'dhcp' } : { type: 'static' }
    if (address !== undefined) {
      subnet.address = `${address.ip}/${address.prefix}`
      if (address.gateway !== undefined) subnet.gateway = address.gateway
    }
    if (dns.length > 0) subnet.dns_nameservers = [...dns]
    if (domain !== undefined) subnet.dns_search = [domain]
    return { type: 'physical', name, subnets: [subnet] }
  })
  return { version: 1, config }
}
