/**
 * Debian for the Pi, as pi-gen makes it, on a server: what its images bring
 * along for a card. Raspberry Pi OS of every release, and what is built on it.
 *
 * Source: pi-gen; raspberrypi-sys-mods; userconf-pi; cloud-init, NoCloud.
 */

import { PRESEED } from '../../boot/preseed.ts'
import { adjustLook, adjustRoot } from './adjust.ts'
import { identityEdits, identityLook } from './identity.ts'
import { networkEdits, networkLook } from './network.ts'
import type { ServedImage } from './served-image.ts'

/** Kernel parameters about the card: where the root is on it, and that it is checked, grown and waited for. */
const cardParameters = new Set([
  'root',
  'rootfstype',
  'rootflags',
  'rootdelay',
  'rootwait',
  'ro',
  'rw',
  'fsck.repair',
  'fsck.mode',
  'init',
  'resize',
  'elevator',
  // A screen that shows a picture hides why a root doesn't come.
  'quiet',
  'splash',
  'plymouth.ignore-serial-consoles',
])

export const debianRoot: ServedImage = {
  systemFiles: [
    'user-data',
    'meta-data',
    'network-config',
    'vendor-data',
    'userconf',
    'userconf.txt',
    'custom.toml',
    PRESEED,
    'firstrun.sh',
    'wpa_supplicant.conf',
    'ssh',
    'ssh.txt',
  ],
  kernel: (tokens) => tokens.filter((token) => !cardParameters.has(token.split('=', 1)[0] ?? token)),
  look: {
    paths: [...identityLook.paths, ...adjustLook.paths, ...networkLook.paths],
    texts: [...identityLook.texts, ...adjustLook.texts, ...networkLook.texts],
    links: networkLook.links,
  },
  root: (snapshot, identity, network) => [
    ...identityEdits(identity, snapshot),
    ...adjustRoot(snapshot),
    ...networkEdits(network, snapshot),
  ],
}
