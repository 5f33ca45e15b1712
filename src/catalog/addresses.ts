/**
 * Where publishers keep the images whose digests nobody could vouch for, so that
 * nobody types an address: `images lock hypriotos-rpi`. An address is no trust;
 * what it serves is checked as the publisher allows (./adapters/).
 *
 * Source: HypriotOS' releases on GitHub; 8086's download folders as its users'
 * scripts name them.
 */
import type { LockedImage } from './locked-image.ts'
import { formatKey, parseImageName } from './names.ts'
import { newestNamed } from './short-names.ts'

const ADDRESSES = [
  'https://github.com/hypriot/image-builder-rpi/releases/download/v1.12.3/hypriotos-rpi-v1.12.3.img.zip',
  'https://github.com/DieterReuter/image-builder-rpi64/releases/download/v20180429-184538/hypriotos-rpi64-v20180429-184538.img.zip',
  'https://dist.8086.net/clusterctrl/bookworm/2025-11-24/2025-11-24-1-bookworm-ClusterCTRL-arm64-lite-CBRIDGE.img.xz',
  'https://dist.8086.net/clusterctrl/usbboot/bookworm/2025-11-24/2025-11-24-1-bookworm-ClusterCTRL-arm64-lite-usbboot.tar.xz',
  'https://dist.8086.net/clusterctrl/bullseye/2023-05-03/2023-05-03-4-bullseye-ClusterCTRL-arm64-lite-CNAT.zip',
  'https://dist.8086.net/clusterctrl/buster/2020-12-02/2020-12-02-1-ClusterCTRL-armhf-lite-CNAT.zip',
  'https://dist.8086.net/clusterctrl/buster/2020-12-02/2020-12-02-1-ClusterCTRL-armhf-lite-CBRIDGE.zip',
]

type Named = Pick<LockedImage, 'os' | 'release' | 'arch' | 'variant' | 'version'>

/**
 * @param name an address, or the name of an image
 * @param locked images whose addresses are known from a lock
 * @returns the address; a name that is not known stays as it is
 */
export function addressOf(name: string, locked: ReadonlyMap<string, LockedImage>): string {
  if (/^[a-z0-9]+:/i.test(name)) return name
  const known = new Map<string, Named & { url: string }>(locked)
  for (const url of ADDRESSES) {
    const image = parseImageName(url)
    if (image !== undefined && !known.has(formatKey(image))) known.set(formatKey(image), { ...image, url })
  }
  const key = newestNamed(known, name) ?? name
  return known.get(key)?.url ?? name
}
