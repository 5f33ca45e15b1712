/** What the edits of a root depend on: a few files of the image's root file system. */
import type { Ext4Volume } from '../disk/ext4/volume.ts'

export interface RootFacts {
  /** '' when there is none. */
  fstab: string
  hosts: string
  dhcpcd: string
  /** Target of /etc/resolv.conf; '' when it is a file, or is not there. */
  resolvLink: string
  /** Those of `interesting` that exist. */
  has: ReadonlySet<string>
}

/** Units that make sense on a card only, by name. */
export const cardUnits = [
  'rpi-resize.service',
  'systemd-growfs-root.service',
  'systemd-growfs@.service',
  'resize2fs_once.service',
  'dphys-swapfile.service',
  'rpi-resize-swap-file.service',
  'regenerate_ssh_host_keys.service',
  'sshd-keygen.service',
] as const

const unitFolders = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system'] as const

/** Old releases start some of them by a script. */
const scriptOf = (unit: string): string => `/etc/init.d/${unit.slice(0, unit.indexOf('.'))}`

const folders = [
  '/etc/NetworkManager',
  '/etc/systemd/network',
  '/etc/dhcpcd.conf',
  '/etc/network/interfaces',
  '/etc/cloud',
  '/etc/rpi/swap.conf',
  '/usr/lib/systemd/systemd-resolved',
  '/lib/systemd/systemd-resolved',
] as const

const hostKeys = ['rsa', 'ecdsa', 'ed25519', 'dsa'].flatMap((kind) => [
  `/etc/ssh/ssh_host_${kind}_key`,
  `/etc/ssh/ssh_host_${kind}_key.pub`,
])

const interesting = [
  ...folders,
  ...hostKeys,
  ...cardUnits.flatMap((unit) => [...unitFolders.map((at) => `${at}/${unit}`), scriptOf(unit)]),
]

export const hasUnit = ({ has }: RootFacts, unit: string): boolean =>
  has.has(scriptOf(unit)) || unitFolders.some((at) => has.has(`${at}/${unit}`))

export const hostKeysThere = ({ has }: RootFacts): string[] => hostKeys.filter((path) => has.has(path))

/** A root file system, as far as this room asks it. Paths have a slash in front; links are followed. */
export interface RootFiles {
  has(path: string): Promise<boolean>
  /** '' when there is no such file. */
  text(path: string): Promise<string>
  /** Of a symbolic link; '' for anything else. */
  target(path: string): Promise<string>
}

/** @throws {FormatError} the file system is damaged */
export async function readRootFacts(files: RootFiles): Promise<RootFacts> {
  const has = new Set<string>()
  for (const path of interesting) if (await files.has(path)) has.add(path)
  return {
    fstab: await files.text('/etc/fstab'),
    hosts: await files.text('/etc/hosts'),
    dhcpcd: await files.text('/etc/dhcpcd.conf'),
    resolvLink: await files.target('/etc/resolv.conf'),
    has,
  }
}

export const rootFilesOf = (volume: Ext4Volume): RootFiles => ({
  has: async (path) => (await volume.lookup(path, { follow: true })) !== undefined,
  async text(path) {
    const inode = await volume.lookup(path, { follow: true })
    if (inode === undefined || inode.type !== 'file') return ''
    return (await volume.readData(inode, 0, inode.size)).toString('utf8')
  },
  async target(path) {
    const inode = await volume.lookup(path)
    return inode?.type === 'symlink' ? (await volume.readLink(inode)).toString() : ''
  },
})
