/** One node for each deliberate fault: how it is spoilt, and what the rehearsal must say about it. */
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Model } from '../../src/cluster/node.ts'
import type { ServedNode } from '../../src/netroot/served.ts'
import { cpio, elf, initramfs, initramfsFiles, RELEASE } from './boot-tree.ts'
import type { NfsExport } from './lab.ts'

export interface Spoilt {
  /** Also its host name. */
  name: string
  model: Model
  spoil?(node: ServedNode): void
  /** In place of the export that it should have. */
  nfs?(node: ServedNode): NfsExport[]
  /** In place of its reservation. */
  dhcp?(node: ServedNode): string[]
  /** Each fault as `step place: problem`, in order; there may be no others. */
  says: RegExp[]
}

const boot = (node: ServedNode, name: string) => join(node.bootFolder, name)
const root = (node: ServedNode, name: string) => join(node.rootFolder, name)
const cmdline = (node: ServedNode, from: string | RegExp, to: string) => {
  const text = readFileSync(boot(node, 'cmdline.txt'), 'utf8')
  const changed = text.replace(from, to)
  if (changed === text) throw new Error(`${from} is not in ${text}`)
  writeFileSync(boot(node, 'cmdline.txt'), changed)
}
const addToCmdline = (words: string) => (node: ServedNode) => cmdline(node, 'rootwait', `rootwait ${words}`)
const reserve = ({ mac, name, ip }: ServedNode) => `dhcp-host=${mac},set:${name},${ip}`
const rw = ({ rootFolder: folder, ip: client }: ServedNode): NfsExport => ({ folder, client, access: 'RW' })

export const spoilt: Spoilt[] = [
  {
    name: 'no-start4',
    model: 'pi4',
    spoil: (node) => renameSync(boot(node, 'start4.elf'), boot(node, 'start.elf')),
    says: [/^firmware \w{8}\/start4\.elf .*: not found/],
  },
  {
    name: 'no-start',
    model: 'pi3b+',
    // Its loader takes that for a sign to ask without the serial number, where nothing is either.
    spoil: (node) => rmSync(boot(node, 'start.elf')),
    says: [/^firmware start\.elf \(.*\/tftp\/start\.elf\): not found/],
  },
  {
    name: 'no-fixup',
    model: 'pi3b+',
    spoil: (node) => rmSync(boot(node, 'fixup.dat')),
    says: [/^firmware \w{8}\/fixup\.dat .*: not found/],
  },
  {
    name: 'no-blanks',
    model: 'pi3b',
    dhcp: (node) => [reserve(node), `pxe-service=tag:${node.name},0,"Raspberry Pi Boot"`],
    says: [/^dhcp DHCP option 43: "Raspberry Pi Boot" without the three blanks/],
  },
  {
    name: 'garbage-43',
    model: 'pi3b+',
    dhcp: (node) => [reserve(node), `dhcp-option-force=tag:${node.name},43,01:04:0a:51:00:01`],
    says: [/^dhcp DHCP option 43: 16 bytes 01040a51.*, without "Raspberry Pi Boot"/],
  },
  {
    name: 'no-dhcp',
    model: 'pi4',
    dhcp: () => [],
    says: [/^dhcp DHCP on lan0: no answer to the DISCOVER of no-dhcp/],
  },
  {
    name: 'wrong-address',
    model: 'pi4',
    dhcp: ({ mac, name }) => [`dhcp-host=${mac},set:${name},10.81.0.200`],
    says: [/^dhcp DHCP address: wrong-address .* is offered 10\.81\.0\.200; its address is 10\.81\.0\./],
  },
  {
    name: 'wrong-server',
    model: 'pi4',
    dhcp: (node) => [reserve(node), `dhcp-boot=tag:${node.name},none,,10.81.0.99`],
    says: [/^dhcp DHCP siaddr: it sends the Pi to 10\.81\.0\.99/],
  },
  {
    name: 'two-servers',
    model: 'pi3b',
    says: [/^dhcp DHCP server 10\.81\.0\.254: a second DHCP server answers and offers 10\.81\.0\.250/],
  },
  {
    name: 'unreadable',
    model: 'pi4',
    spoil: (node) => chmodSync(boot(node, 'fixup4.dat'), 0o600),
    says: [/^tftp \w{8}\/fixup4\.dat .*: the server refuses it: /],
  },
  {
    name: 'no-device-tree',
    model: 'pi3b+',
    spoil: (node) => rmSync(boot(node, 'bcm2710-rpi-3-b-plus.dtb')),
    says: [/^firmware .*bcm2710-rpi-3-b-plus\.dtb .*no device tree of a Raspberry Pi 3 Model B\+/],
  },
  {
    name: 'no-kernel',
    model: 'pi5',
    spoil: (node) => {
      rmSync(boot(node, 'kernel_2712.img'))
      rmSync(boot(node, 'kernel8.img'))
    },
    says: [/^kernel .*kernel_2712\.img .*not found: no kernel for this board/],
  },
  {
    name: 'torn-kernel',
    model: 'pi4',
    spoil: (node) => truncateSync(boot(node, 'kernel8.img'), 60_000),
    says: [/^kernel .*kernel8\.img .*: the kernel is not whole: the gzip file/],
  },
  {
    name: 'no-modules',
    model: 'pi4',
    spoil: (node) => rmSync(root(node, `usr/lib/modules/${RELEASE.kernel8}`), { recursive: true }),
    says: [
      /^kernel .*the kernel is 6\.12\.34\+rpt-rpi-v8, and .*\/lib\/modules has only 6\.12\.34\+rpt-rpi-2712, 6\.12\.34\+rpt-rpi-v7/,
    ],
  },
  {
    name: 'wrong-initramfs',
    model: 'pi5',
    spoil: (node) => appendFileSync(boot(node, 'config.txt'), 'initramfs initramfs8 followkernel\n'),
    says: [
      /^kernel .*initramfs8 .*has modules of 6\.12\.34\+rpt-rpi-v8; the kernel is 6\.12\.34\+rpt-rpi-2712/,
    ],
  },
  {
    name: 'no-initramfs',
    model: 'pi5',
    spoil: (node) => rmSync(boot(node, 'initramfs_2712')),
    says: [/^kernel .*initramfs_2712 .*: not found: auto_initramfs=1 asks for it/],
  },
  {
    name: 'no-nfs-module',
    model: 'pi4',
    spoil: (node) => {
      const names = initramfsFiles(RELEASE.kernel8).filter((name) => !name.endsWith('/nfs.ko.xz'))
      writeFileSync(boot(node, 'initramfs8'), gzipSync(cpio(names)))
    },
    says: [/^kernel .*initramfs8 .*has no nfs\.ko/],
  },
  {
    name: 'torn-initramfs',
    model: 'pi4',
    spoil: (node) => writeFileSync(boot(node, 'initramfs8'), initramfs(RELEASE.kernel8).subarray(0, 120)),
    says: [/^kernel .*initramfs8 .*the initial RAM disk is not whole/],
  },
  {
    name: 'no-cmdline',
    model: 'pi4',
    spoil: (node) => rmSync(boot(node, 'cmdline.txt')),
    says: [/^cmdline .*cmdline\.txt .*: not found/],
  },
  {
    name: 'two-lines',
    model: 'pi4',
    spoil: (node) => cmdline(node, ' rootwait', '\nrootwait'),
    says: [/^cmdline .*it has 2 lines, and only the first counts/],
  },
  {
    name: 'version-4',
    model: 'pi4',
    spoil: (node) => cmdline(node, 'vers=3', 'vers=4.1'),
    // Nothing here listens to version 4 either.
    says: [
      /^cmdline .*nfsroot= has vers=4\.1, and the initial RAM disk mounts with klibc/,
      /^nfs NFS server 10\.81\.0\.1: /,
    ],
  },
  {
    name: 'proto-tcp',
    model: 'pi4',
    spoil: (node) => cmdline(node, ',tcp', ',proto=tcp'),
    says: [/^cmdline .*nfsroot= has proto=tcp, .* it knows no proto=/],
  },
  {
    name: 'resize',
    model: 'pi4',
    spoil: addToCmdline('resize'),
    says: [/^cmdline .*: resize is left from a card/],
  },
  {
    name: 'partuuid',
    model: 'pi3b+',
    spoil: (node) => cmdline(node, 'root=/dev/nfs', 'root=PARTUUID=7a3f1c55-02'),
    says: [/^cmdline .*: root=PARTUUID=7a3f1c55-02 is left from a card/],
  },
  {
    name: 'first-boot',
    model: 'pi4',
    spoil: addToCmdline('init=/usr/lib/raspberrypi-sys-mods/firstboot'),
    says: [/^cmdline .*init=.*firstboot is left from a card/, /^root .*firstboot: not there/],
  },
  {
    name: 'no-device',
    model: 'pi4',
    spoil: (node) => cmdline(node, ':eth0:off', '::off'),
    says: [/^cmdline .*the sixth field, the interface, is empty/],
  },
  {
    name: 'bad-autoconf',
    model: 'pi4',
    spoil: (node) => cmdline(node, ':eth0:off', ':eth0:fixed'),
    says: [/^cmdline .*fixed is not a way to get an address/],
  },
  {
    name: 'export-elsewhere',
    model: 'pi4',
    nfs: (node) => [{ ...rw(node), client: '10.81.0.240' }],
    says: [/^nfs export .*can’t mount it: not exported to this address/],
  },
  {
    name: 'no-export',
    model: 'pi4',
    nfs: () => [],
    says: [/^nfs export .*can’t mount it: .*; the server’s list of exports has it not/],
  },
  {
    name: 'read-only',
    model: 'pi4',
    nfs: (node) => [{ ...rw(node), access: 'RO' }],
    says: [/^nfs export .*: it is read-only/],
  },
  {
    name: 'squashed',
    model: 'pi4',
    nfs: (node) => [{ ...rw(node), squash: true }],
    says: [/^nfs export .*: root of the node may not read \/etc\/shadow/],
  },
  {
    name: 'wrong-machine',
    model: 'pi4',
    spoil: (node) => writeFileSync(root(node, 'usr/lib/systemd/systemd'), elf(62)),
    says: [/^root .*systemd: it is for ELF machine 62; this kernel runs arm and arm64/],
  },
  {
    name: 'no-init',
    model: 'pi4',
    spoil: (node) => rmSync(root(node, 'usr/sbin/init')),
    says: [/^nfs export .*\/sbin\/init is not in what is exported/, /^root .*\/sbin\/init: not there/],
  },
  {
    name: 'fstab-drive',
    model: 'pi4',
    spoil: (node) =>
      appendFileSync(root(node, 'etc/fstab'), 'PARTUUID=7a3f1c55-01 /boot/firmware vfat defaults 0 2\n'),
    says: [/^root .*\/etc\/fstab:2: PARTUUID=7a3f1c55-01 for \/boot\/firmware/],
  },
  {
    name: 'grows-drive',
    model: 'pi4',
    spoil: (node) => {
      mkdirSync(root(node, 'usr/lib/systemd/system'))
      writeFileSync(root(node, 'usr/lib/systemd/system/rpi-resize.service'), '')
    },
    says: [/^root .*: rpi-resize\.service would resize the drive/],
  },
  {
    name: 'other-name',
    model: 'pi4',
    spoil: (node) => writeFileSync(root(node, 'etc/hostname'), 'raspberrypi\n'),
    says: [/^identity .*\/etc\/hostname: raspberrypi; the node is other-name/],
  },
  {
    name: 'no-volume',
    model: 'pi4',
    spoil: (node) => {
      node.volumeFolder = node.rootFolder
      writeFileSync(root(node, 'docker.ext4'), Buffer.alloc(4096))
    },
    says: [/^root .*no volume file with an ext4 file system/],
  },
  {
    name: 'overlay-off',
    model: 'pi4',
    spoil: (node) => {
      node.rootMode = 'overlay'
      // Its layers are looked into all the same, so that the rest is told too.
      const merged = `${node.rootFolder}/none`
      node.overlay = { lower: node.rootFolder, upper: '/none', work: '/none', merged }
      node.exports = [{ folder: merged, client: node.ip, writable: true, fsid: '1' }]
      node.images = []
    },
    says: [/^root .*: it is not mounted, so it is not exported either/],
  },
  {
    name: 'no-serial',
    model: 'pi3b+',
    spoil: (node) => {
      delete node.serial
    },
    says: [/^server node no-serial: its serial number is not known/, /^firmware start\.elf /],
  },
  {
    name: 'machine-id',
    model: 'pi4',
    spoil: (node) => writeFileSync(root(node, 'etc/machine-id'), `${'7'.repeat(32)}\n`),
    says: [/^identity .*\/etc\/machine-id: the same as that of machine-id2/],
  },
  {
    name: 'machine-id2',
    model: 'pi4',
    spoil: (node) => writeFileSync(root(node, 'etc/machine-id'), `${'7'.repeat(32)}\n`),
    says: [/^identity .*\/etc\/machine-id: the same as that of machine-id/],
  },
]

/** The exports of all of them. */
export const exportsOf = (nodes: readonly ServedNode[]): NfsExport[] =>
  nodes.flatMap((node) => spoilt.find(({ name }) => name === node.name)?.nfs?.(node) ?? [rw(node)])

/** Their reservations. */
export const dhcpOf = (nodes: readonly ServedNode[]): string[] =>
  nodes.flatMap((node) => spoilt.find(({ name }) => name === node.name)?.dhcp?.(node) ?? [reserve(node)])
