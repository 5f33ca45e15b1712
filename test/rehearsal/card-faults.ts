/** Faults planted in a card that boots: what is changed, and which file the check must name. */
import type { FatVolume } from '../../src/disk/fat/volume.ts'

export interface CardFault {
  name: string
  /** Cards it can be planted in, by the board; default: all. */
  on?: readonly string[]
  /** Changes the boot partition. */
  boot?: (boot: Boot) => Promise<void>
  /** Commands of debugfs for the root file system. */
  root?: readonly string[]
  place: RegExp
  says: RegExp
}

/** The boot partition with what faults do to files. */
export interface Boot {
  volume: FatVolume
  /** The board's own files. */
  kernel: string
  tree: string
  initramfs?: string
  start?: string
  fixup?: string
  /** What starts the first boot. */
  trigger: 'cloud-init' | 'systemd.run' | 'init'
  remove(path: string): Promise<void>
  edit(path: string, change: (text: string) => string): Promise<void>
  put(path: string, bytes: Uint8Array | string): Promise<void>
  cut(path: string, keep: number): Promise<void>
}

const withFirmware = ['pi3b', 'pi4', 'pi3b+']
const withInitramfs = ['pi4', 'pi5']
const [cloud, run, shell] = [['pi4'], ['pi5', 'pi3b'], ['pi3b+']]
const cmdline = /^cmdline\.txt$/
const add = (line: string) => (text: string) => `${text}\n[all]\n${line}\n`

export const cardFaults: CardFault[] = [
  {
    name: 'no bootcode.bin',
    on: ['pi3b', 'pi3b+'],
    boot: ({ remove }) => remove('bootcode.bin'),
    place: /^bootcode\.bin$/,
    says: /not found/,
  },
  {
    name: 'no firmware',
    on: withFirmware,
    boot: ({ remove, start }) => remove(start ?? ''),
    place: /^start4?\.elf$/,
    says: /not found/,
  },
  {
    name: 'empty firmware',
    on: withFirmware,
    boot: ({ put, start }) => put(start ?? '', ''),
    place: /^start4?\.elf$/,
    says: /empty/,
  },
  {
    name: 'no fixup',
    on: withFirmware,
    boot: ({ remove, fixup }) => remove(fixup ?? ''),
    place: /^fixup4?\.dat$/,
    says: /not found/,
  },
  {
    name: 'firmware that gpu_mem= asks for',
    on: withFirmware,
    async boot({ edit, remove }) {
      await edit('config.txt', add('gpu_mem=16'))
      await remove('start4cd.elf')
      await remove('start_cd.elf')
    },
    place: /^start(4|_)cd\.elf$/,
    says: /not found/,
  },
  {
    name: 'no config.txt',
    boot: ({ remove }) => remove('config.txt'),
    place: /^config\.txt$/,
    says: /not found/,
  },
  {
    name: 'no kernel',
    async boot({ remove }) {
      for (const name of ['8', '_2712', '7l', '7', '']) await remove(`kernel${name}.img`)
    },
    place: /^kernel/,
    says: /not found/,
  },
  {
    name: 'a kernel that another name is asked for',
    boot: ({ edit }) => edit('config.txt', add('kernel=gone.img')),
    place: /^gone\.img$/,
    says: /no kernel for this board/,
  },
  {
    name: 'a kernel cut short',
    boot: ({ cut, kernel }) => cut(kernel, 0.5),
    place: /^kernel/,
    says: /not whole/,
  },
  {
    name: 'a kernel of zeroes',
    boot: ({ put, kernel }) => put(kernel, new Uint8Array(70_000)),
    place: /^kernel/,
    says: /header of no ARM kernel/,
  },
  {
    name: 'no device tree',
    async boot({ remove, tree }) {
      await remove(tree)
      await remove('bcm2712d0-rpi-5-b.dtb')
    },
    place: /\.dtb$/,
    says: /no device tree/,
  },
  {
    name: 'a device tree of zeroes',
    boot: ({ put, tree }) => put(tree, new Uint8Array(2000)),
    place: /\.dtb$/,
    says: /it is not a device tree/,
  },
  {
    name: 'an overlay that is not there',
    boot: ({ edit }) => edit('config.txt', add('dtoverlay=gone,x=1')),
    place: /^overlays\/gone\.dtbo$/,
    says: /dtoverlay=/,
  },
  {
    name: 'no initial RAM disk',
    on: withInitramfs,
    boot: ({ remove, initramfs }) => remove(initramfs ?? ''),
    place: /^initramfs/,
    says: /not found/,
  },
  {
    name: 'an initial RAM disk cut short',
    on: withInitramfs,
    boot: ({ cut, initramfs }) => cut(initramfs ?? '', 0.5),
    place: /^initramfs/,
    says: /not whole/,
  },
  {
    name: 'the initial RAM disk of another kernel',
    on: withInitramfs,
    async boot({ volume, put, initramfs }) {
      await put(initramfs ?? '', await volume.readFile('initramfs7'))
    },
    place: /^initramfs/,
    says: /has modules of .*; the kernel is/,
  },
  { name: 'no cmdline.txt', boot: ({ remove }) => remove('cmdline.txt'), place: cmdline, says: /not found/ },
  {
    name: 'another cmdline is asked for',
    boot: ({ edit }) => edit('config.txt', add('cmdline=mine.txt')),
    place: /^mine\.txt$/,
    says: /not found/,
  },
  {
    name: 'no root=',
    boot: ({ edit }) => edit('cmdline.txt', (text) => text.replace(/root=\S+ /, '')),
    place: cmdline,
    says: /no root=/,
  },
  {
    name: 'a root= of another card',
    boot: ({ edit }) => edit('cmdline.txt', (text) => text.replace(/root=\S+/, 'root=PARTUUID=12345678-02')),
    place: cmdline,
    says: /names no partition of this card/,
  },
  {
    name: 'a root= that is the boot partition',
    boot: ({ edit }) => edit('cmdline.txt', (text) => text.replace(/root=\S+/, 'root=/dev/mmcblk0p1')),
    place: cmdline,
    says: /a FAT/,
  },
  {
    name: 'another file system',
    boot: ({ edit }) => edit('cmdline.txt', (text) => text.replace(/rootfstype=\S+/, 'rootfstype=btrfs')),
    place: cmdline,
    says: /rootfstype=btrfs, and partition 2 holds ext4/,
  },
  {
    name: 'two lines',
    boot: ({ edit }) => edit('cmdline.txt', (text) => text.replace(' ', '\n')),
    place: cmdline,
    says: /2 lines/,
  },
  {
    name: 'a carriage return',
    boot: ({ edit }) => edit('cmdline.txt', (text) => text.replace(/\n$/, '\r\n')),
    place: cmdline,
    says: /carriage return/,
  },
  {
    name: 'autoboot.txt leads to the root',
    boot: ({ put }) => put('autoboot.txt', '[all]\nboot_partition=2\n'),
    place: /^autoboot\.txt$/,
    says: /partition 2 has no FAT/,
  },
  {
    name: 'autoboot.txt leads nowhere',
    boot: ({ put }) => put('autoboot.txt', 'boot_partition=4\n'),
    place: /^autoboot\.txt$/,
    says: /there is no such partition/,
  },
  {
    name: 'no install.sh',
    boot: ({ remove }) => remove('piimage/install.sh'),
    place: /^piimage\/install\.sh$/,
    says: /not found/,
  },
  {
    name: 'an empty run.sh',
    boot: ({ put }) => put('piimage/run.sh', ''),
    place: /^piimage\/run\.sh$/,
    says: /empty/,
  },
  {
    name: 'install.sh saved by an editor of Windows',
    boot: ({ edit }) => edit('piimage/install.sh', (text) => text.replaceAll('\n', '\r\n')),
    place: /^piimage\/install\.sh$/,
    says: /carriage returns/,
  },
  {
    name: 'a secret that a step reads',
    boot: ({ remove }) => remove('piimage/secrets/ssh_host_ed25519_key'),
    place: /^piimage\/secrets\/ssh_host_ed25519_key$/,
    says: /early\.d\/\S+ asks for it/,
  },
  {
    name: 'a root file that is not there',
    boot: ({ put }) => put('piimage/files.list', '644 root root /etc/motd files/999\n'),
    place: /^piimage\/files\/999$/,
    says: /files\.list asks for it/,
  },
  {
    name: 'the first boot starts from another folder',
    on: [...run, ...shell],
    boot: ({ edit }) =>
      edit('cmdline.txt', (text) => text.replaceAll(/\/boot(\/firmware)?\/piimage/g, '/mnt/piimage')),
    place: cmdline,
    says: /\/mnt\/piimage\/\S+ is started, and \/etc\/fstab mounts the boot partition at \/boot/,
  },
  {
    name: 'a letter is missing in what starts the first boot',
    boot: async ({ edit, trigger }) => {
      const misspelt = (text: string) => text.replace(/\/piimage\/(install\.sh|init)/g, '/piimage/instal.sh')
      await edit(trigger === 'cloud-init' ? 'user-data' : 'cmdline.txt', misspelt)
    },
    place: /^piimage\/install\.sh$/,
    says: /nothing starts it: neither cmdline\.txt nor user-data names it/,
  },
  {
    name: 'cloud-init starts it from another folder',
    on: cloud,
    boot: ({ edit }) =>
      edit('user-data', (text) => text.replaceAll('/boot/firmware/piimage', '/boot/piimage')),
    place: /^user-data$/,
    says: /mounts the boot partition at \/boot\/firmware/,
  },
  {
    name: 'cloud-init is switched off on the command line',
    on: cloud,
    boot: ({ edit }) =>
      edit('cmdline.txt', (text) => text.replace('rootwait', 'rootwait cloud-init=disabled')),
    place: cmdline,
    says: /nothing reads user-data/,
  },
  { name: 'no init', root: ['rm /usr/sbin/init'], place: /^\/sbin\/init$/, says: /nothing to start/ },
  {
    name: 'an init that may not be executed',
    root: ['set_inode_field /usr/lib/systemd/systemd mode 0100644'],
    place: /^\/sbin\/init$/,
    says: /may not be executed/,
  },
  {
    name: 'an init of a PC',
    root: [
      'rm /usr/lib/systemd/systemd',
      'write PC /usr/lib/systemd/systemd',
      'set_inode_field /usr/lib/systemd/systemd mode 0100755',
    ],
    place: /^\/sbin\/init$/,
    says: /ELF machine 62/,
  },
  {
    name: 'no modules of this kernel',
    root: ['unlink /usr/lib/modules'],
    place: /^kernel/,
    says: /lib\/modules has nothing/,
  },
  {
    name: 'the boot partition is mounted elsewhere',
    root: ['rm /etc/fstab', 'write FSTAB /etc/fstab'],
    place: /^(cmdline\.txt|user-data)$/,
    says: /mounts the boot partition at \/boot\/other/,
  },
  {
    name: 'cloud-init is switched off',
    on: cloud,
    root: ['write FSTAB /etc/cloud/cloud-init.disabled'],
    place: /^\/etc\/cloud\/cloud-init\.disabled$/,
    says: /switches cloud-init off/,
  },
  {
    name: 'no cloud-init',
    on: cloud,
    root: ['rm /usr/bin/cloud-init'],
    place: /^user-data$/,
    says: /the root has no cloud-init/,
  },
  {
    name: 'a root of another distribution',
    root: ['rm /etc/os-release', 'write UBUNTU /etc/os-release'],
    place: /^\/etc\/os-release$/,
    says: /the root is Ubuntu 24\.04 LTS, and the boot partition was taken for raspios/,
  },
  {
    name: 'a root of another release',
    root: ['rm /etc/os-release', 'write FORKY /etc/os-release'],
    place: /^\/etc\/os-release$/,
    says: /the root is debian forky, and the boot partition was taken for raspios/,
  },
  {
    name: 'a systemd that knows no systemd.run',
    on: run,
    root: ['rm /usr/lib/systemd/system-generators/systemd-run-generator'],
    place: cmdline,
    says: /has no systemd-run-generator/,
  },
  {
    name: 'a damaged root',
    root: ['set_super_value blocks_per_group 8'],
    place: /^partition 2$/,
    says: /8 blocks in a group/,
  },
]
