/**
 * The kernel command line of a diskless node: what its card would have, with
 * the root on NFS and nothing left of what a card does at its first boot.
 *
 * - `vers=3`: Debian's initramfs mounts with klibc's nfsmount, which knows
 *   nothing newer and no `proto=`. `nolock`: the root is this node's alone, and
 *   without statd every lock would fail.
 * - `rsize`, `wsize`: the kernel's own default for a root is 4096 bytes.
 * - `ip=` names the device: with that field empty klibc sets the address on
 *   every interface. `off`: no second DHCP, which a Pi 3B may lose.
 * - `net.ifnames=0`: udev must not rename the interface before it is set up.
 * - `boot=nfs`: an initramfs that was made for a card would wait for one.
 *
 * Source: Linux, "Mounting the root filesystem via NFS"; klibc, ipconfig and
 * nfsmount.
 */
import { formatCmdline } from '../boot/cmdline-txt.ts'
import { STATE_PARAMETER } from './shared/segment.ts'

export interface NetbootTarget {
  name: string
  ip: string
  /** Dotted quad. */
  netmask: string
  gateway?: string
  /** Of the node: `eth0`. */
  device: string
  serverIp: string
  /** What is mounted as the root. */
  rootFolder: string
  /** False: it is shared, and an overlay in memory lies over it. */
  writable: boolean
  /** Of a shared root: where the node's own files are, on the server. */
  stateFolder?: string
  /** The image has cloud-init, which must leave the network alone. */
  cloudInit: boolean
}

/** Tokens that a card has and a diskless node must not have; a key stands for all its values. */
const ofTheCard = new Set([
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
  'quiet',
  'splash',
  'plymouth.ignore-serial-consoles',
  'elevator',
  'boot',
  'ip',
  'nfsroot',
  'overlayroot',
  'net.ifnames',
  'network-config',
  STATE_PARAMETER,
])

/** `reconfig-clusterctrl p3`: the first process has an argument, behind it. */
const isArgument = (before: string | undefined): boolean =>
  /^init=.*\/reconfig-clusterctrl$/.test(before ?? '')

const isOfTheCard = (token: string): boolean =>
  ofTheCard.has(token.split('=', 1)[0] ?? token) ||
  token.startsWith('systemd.run') ||
  token === 'systemd.unit=kernel-command-line.target'

/**
 * @param tokens of the card's cmdline.txt
 * @returns the file's one line
 * @throws {FormatError} it is longer than the firmware hands on
 */
export function netbootCmdline(tokens: readonly string[], target: NetbootTarget): string {
  const { name, ip, netmask, gateway = '', device, serverIp, rootFolder } = target
  const options = 'vers=3,tcp,hard,nolock,rsize=65536,wsize=65536'
  return formatCmdline([
    ...tokens.filter((token, index) => !isOfTheCard(token) && !isArgument(tokens[index - 1])),
    'root=/dev/nfs',
    `nfsroot=${serverIp}:${rootFolder},${options}`,
    target.writable ? 'rw' : 'ro',
    `ip=${ip}:${serverIp}:${gateway}:${netmask}:${name}:${device}:off`,
    'rootwait',
    'boot=nfs',
    'fsck.mode=skip',
    'net.ifnames=0',
    ...(target.stateFolder === undefined ? [] : [`${STATE_PARAMETER}=${serverIp}:${target.stateFolder}`]),
    ...(target.cloudInit ? ['network-config=disabled'] : []),
  ])
}
