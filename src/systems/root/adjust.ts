/**
 * What an image made for a card does to its root, and a diskless node must not:
 * mount partitions, grow the file system, swap to a file, replace host keys,
 * update a kernel that is not read from there.
 *
 * Source: pi-gen, raspberrypi-sys-mods, rpi-swap; apt_preferences(5); fstab(5).
 */
import { formatIni } from '../../ini.ts'
import { dropIn, file, masked, type RootEdit, unit, wanted } from './root-edit.ts'
import type { RootLook, RootSnapshot } from './root-snapshot.ts'
import { hasUnit, unitPaths } from './units.ts'

/** Units that make sense on a card only. */
const cardUnits = [
  'rpi-resize.service',
  'systemd-growfs-root.service',
  'systemd-growfs@.service',
  'resize2fs_once.service',
  'dphys-swapfile.service',
  'rpi-resize-swap-file.service',
  'regenerate_ssh_host_keys.service',
  'sshd-keygen.service',
]

export const adjustLook: RootLook = {
  paths: ['/etc/network/interfaces', '/etc/cloud', '/etc/rpi/swap.conf', ...cardUnits.flatMap(unitPaths)],
  texts: ['/etc/fstab'],
  links: [],
}

export function adjustRoot(snapshot: RootSnapshot): RootEdit[] {
  return [
    file('/etc/fstab', withoutCard(snapshot.text('/etc/fstab'))),
    ...cardUnits.filter((name) => hasUnit(snapshot, name)).map(masked),
    ...(snapshot.has('/etc/rpi/swap.conf') || hasUnit(snapshot, 'rpi-resize-swap-file.service')
      ? [file('/etc/rpi/swap.conf.d/90-piimage.conf', formatIni({ Main: { Mechanism: 'zram' } }))]
      : []),
    ...(snapshot.has('/etc/cloud')
      ? [file('/etc/cloud/cloud.cfg.d/99-piimage-netroot.cfg', cloudConfig)]
      : []),
    file('/etc/apt/preferences.d/piimage-netroot.pref', kernelPin),
    // A file's capabilities don't come over NFSv3, and ping has its right from there.
    file('/etc/sysctl.d/90-piimage-ping.conf', 'net.ipv4.ping_group_range = 0 2147483647\n'),
    unit('piimage-booted.service', bootedUnit),
    wanted('piimage-booted.service', 'multi-user.target'),
    // The last packets of a shutdown go to the root.
    ...(snapshot.has('/etc/network/interfaces')
      ? [dropIn('networking.service', formatIni({ Service: { ExecStop: '' } }))]
      : []),
  ]
}

const cloudConfig = `# Written by piimage: the root is a folder on a server.
network: { config: disabled }
growpart: { mode: 'off' }
resize_rootfs: false
ssh_deletekeys: false
ssh_genkeytypes: [ed25519]
`

const kernelPin = `# The kernel and the firmware of this node come from its server: newer ones here
# would have modules that do not fit the kernel that is running.
Package: linux-image-* raspberrypi-kernel raspberrypi-bootloader raspi-firmware
Pin: version *
Pin-Priority: -1
`

/** Tells `piimage netroot prune` which of a node's roots it last ran on. */
const bootedUnit = formatIni({
  Unit: { Description: 'piimage: this root was started' },
  Service: {
    Type: 'oneshot',
    ExecStart: ['/bin/mkdir -p /var/lib/piimage', '/bin/touch /var/lib/piimage/booted'],
  },
  Install: { WantedBy: 'multi-user.target' },
})

/** Without the root, the boot partition and swap; a line for the root would only get it checked. */
export function withoutCard(fstab: string): string {
  return fstab
    .split('\n')
    .filter((line) => {
      const [, target = '', type = ''] = line.trim().split(/\s+/)
      if (line.trim().startsWith('#')) return true
      return !['/', '/boot', '/boot/firmware'].includes(target) && type !== 'swap'
    })
    .join('\n')
}
