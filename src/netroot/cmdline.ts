/**
 * The kernel command line of a diskless node: the image's parameters and the
 * node's, and the root on NFS.
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

const keyOf = (token: string): string => token.split('=', 1)[0] ?? token

/**
 * @param tokens the image's own and the node's
 * @returns the file's one line
 * @throws {FormatError} it is longer than the firmware hands on
 */
export function netbootCmdline(tokens: readonly string[], target: NetbootTarget): string {
  const { name, ip, netmask, gateway = '', device, serverIp, rootFolder } = target
  const options = 'vers=3,tcp,hard,nolock,rsize=65536,wsize=65536'
  const own = [
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
  ]
  // How the root is found is not for an overlay to say.
  const keys = new Set([...own.map(keyOf), 'ro', 'rw'])
  return formatCmdline([...tokens.filter((token) => !keys.has(keyOf(token))), ...own])
}
