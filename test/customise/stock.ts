/** Boot partitions as the publishers ship them: the text files that decide what the image is. */
import { type BootFiles, bootFilesOf, bytesOf } from '../../src/boot/boot-files.ts'

export type Files = Map<string, Uint8Array>

const cutDown = { 'start_cd.elf': 'x', 'fixup_cd.dat': 'x', 'start4cd.elf': 'x', 'fixup4cd.dat': 'x' }

const files = (texts: Record<string, string>): Files =>
  new Map(Object.entries({ ...texts, ...cutDown }).map(([path, text]) => [path, bytesOf(text)]))

const issue = (date: string) => `Raspberry Pi reference ${date}\nGenerated using pi-gen, stage2\n`
const config = (...lines: string[]) =>
  ['# For more options see the documentation', 'dtparam=audio=on', ...lines, ''].join('\n')

const consoles = 'console=serial0,115200 console=tty1'
const root = (id: string) => `root=PARTUUID=${id}-02 rootfstype=ext4`
const firstboot = 'init=/usr/lib/raspberrypi-sys-mods/firstboot'
const initResize = 'init=/usr/lib/raspi-config/init_resize.sh'
const bookwormConfig = config(
  'camera_auto_detect=1',
  'auto_initramfs=1',
  'arm_64bit=1',
  '',
  '[cm5]',
  'dtoverlay=dwc2,dr_mode=host',
  '',
  '[all]',
)
const bullseyeConfig = config('camera_auto_detect=1', 'dtoverlay=vc4-kms-v3d', '', '[cm4]', 'otg_mode=1')

const osRelease = (arch: string, version: string) =>
  `PRETTY_NAME="Raspbian GNU/Linux 10 (buster)"\nHYPRIOT_OS="HypriotOS/${arch}"\nHYPRIOT_DEVICE="Raspberry Pi"\nHYPRIOT_IMAGE_VERSION="${version}"\n`

const pirate = `#cloud-config
hostname: black-pearl
manage_etc_hosts: true
users:
  - name: pirate
    sudo: ALL=(ALL) NOPASSWD:ALL
    groups: users,docker,video,input
    plain_text_passwd: hypriot
    lock_passwd: false
`

const ubuntuConfig = (...layout: string[]) =>
  [
    ...layout,
    '[all]',
    'arm_64bit=1',
    'kernel=vmlinuz',
    'cmdline=cmdline.txt',
    'initramfs initrd.img followkernel',
    'dtparam=audio=on',
    'camera_auto_detect=1',
    '',
    '[pi4]',
    'max_framebuffers=2',
    '',
    '[all]',
    '',
  ].join('\n')
const ubuntuCmdline = `console=serial0,115200 multipath=off dwc_otg.lpm_enable=0 console=tty1 root=LABEL=writable rootfstype=ext4 rootwait fixrtc\n`
const ubuntuSeed = {
  'user-data': `#cloud-config

# On first boot, set the (default) ubuntu user's password
chpasswd:
  expire: true
  users:
  - name: ubuntu
    password: ubuntu
    type: text
ssh_pwauth: false
`,
  'meta-data': 'dsmode: local\ninstance-id: cloud-image\n',
  'network-config':
    'network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      optional: true\n',
}

/** By the name of the case. */
export const stock: Record<string, Files> = {
  trixie: files({
    'cmdline.txt': `${consoles} ${root('7a3f1c55')} fsck.repair=yes rootwait resize\n`,
    'config.txt': bookwormConfig,
    'issue.txt': issue('2025-12-04'),
    'user-data': '#cloud-config\n#hostname: raspberrypi\n',
    'meta-data': 'instance_id: rpios-image\ndsmode: local\n',
    'network-config': '#network:\n#  version: 2\n',
    'kernel8.img': 'x',
  }),
  'trixie-first': files({
    'cmdline.txt': `${consoles} ${root('7a3f1c55')} fsck.repair=yes rootwait resize\n`,
    'config.txt': bookwormConfig,
    'issue.txt': issue('2025-10-01'),
  }),
  bookworm: files({
    'cmdline.txt': `${consoles} ${root('d9c86127')} fsck.repair=yes rootwait quiet ${firstboot}\n`,
    'config.txt': bookwormConfig,
    'issue.txt': issue('2025-05-13'),
  }),
  bullseye: files({
    'cmdline.txt': `${consoles} ${root('b66d8d6d')} fsck.repair=yes rootwait quiet ${firstboot}\n`,
    'config.txt': bullseyeConfig,
    'issue.txt': issue('2023-05-03'),
    'start4.elf': 'x',
  }),
  'bullseye-first': files({
    'cmdline.txt': `${consoles} ${root('cb15ae4d')} fsck.repair=yes rootwait quiet ${initResize}\n`,
    'config.txt': bullseyeConfig,
    'issue.txt': issue('2021-10-30'),
    'start4.elf': 'x',
  }),
  buster: files({
    'cmdline.txt': `${consoles} ${root('738a4d67')} elevator=deadline fsck.repair=yes rootwait quiet ${initResize}\n`,
    'config.txt': config('', '[pi4]', 'dtoverlay=vc4-fkms-v3d', 'max_framebuffers=2', '', '[all]'),
    'issue.txt': issue('2020-08-20'),
    'start4.elf': 'x',
  }),
  stretch: files({
    'cmdline.txt': `dwc_otg.lpm_enable=0 ${consoles} ${root('7ee80803')} elevator=deadline fsck.repair=yes rootwait quiet ${initResize}\n`,
    'config.txt': config(),
    'issue.txt': issue('2018-11-13'),
    'start.elf': 'x',
  }),
  'clusterctrl-bookworm': files({
    'cmdline.txt': `${consoles} ${root('2f8a6c11')} fsck.repair=yes rootwait quiet init=/usr/sbin/reconfig-clusterctrl cbridge\n`,
    'config.txt': `${bookwormConfig}#otg_mode=1 # Controller only\n#dtoverlay=dwc2,dr_mode=peripheral\n`,
    'issue.txt': issue('2025-05-13'),
  }),
  'clusterctrl-bullseye': files({
    'cmdline.txt': `${consoles} ${root('2f8a6c13')} fsck.repair=yes rootwait quiet init=/usr/sbin/reconfig-clusterctrl cbridge\n`,
    'config.txt': `${bullseyeConfig}\n\n[all]\n#otg_mode=1 # Controller only\n#dtoverlay=dwc2,dr_mode=peripheral\n`,
    'issue.txt': issue('2023-05-03'),
    'start4.elf': 'x',
  }),
  'clusterctrl-buster': files({
    'cmdline.txt': `${consoles} ${root('2f8a6c12')} elevator=deadline fsck.repair=yes rootwait quiet init=/sbin/reconfig-clusterctrl cnat\n`,
    'config.txt': `${config('', '[pi4]', 'dtoverlay=vc4-fkms-v3d', '[all]')}#dtoverlay=dwc2,dr_mode=peripheral\n`,
    'issue.txt': issue('2019-07-10'),
    'start4.elf': 'x',
  }),
  'ubuntu-24.04': files({
    ...ubuntuSeed,
    'cmdline.txt': ubuntuCmdline,
    'config.txt': ubuntuConfig(),
    'bcm2711-rpi-4-b.dtb': 'x',
    vmlinuz: 'x',
    'initrd.img': 'x',
  }),
  'ubuntu-26.04': files({
    ...ubuntuSeed,
    'autoboot.txt': '[all]\ntryboot_a_b=1\n',
    'config.txt': ubuntuConfig('[all]', 'os_prefix=current/', '', '[tryboot]', 'os_prefix=new/', ''),
    'current/cmdline.txt': ubuntuCmdline,
    'current/bcm2711-rpi-4-b.dtb': 'x',
    'current/vmlinuz': 'x',
    'current/initrd.img': 'x',
  }),
  'hypriotos-1.12.3': files({
    'cmdline.txt': `dwc_otg.lpm_enable=0 console=tty1 ${root('7ee80804')} cgroup_enable=cpuset cgroup_enable=memory swapaccount=1 elevator=deadline fsck.repair=yes rootwait console=ttyAMA0,115200 ${initResize}\n`,
    'config.txt': 'gpu_mem=16\nenable_uart=1\n',
    'os-release': osRelease('armhf', 'v1.12.3'),
    'user-data': pirate,
    'meta-data': 'instance-id: pirate001\n',
    'network-config': 'version: 1\n',
    'fake-hwclock.data': '2020-07-02 14:17:05\n',
  }),
  'hypriotos-1.9.0': files({
    'cmdline.txt': `dwc_otg.lpm_enable=0 console=tty1 ${root('7ee80805')} cgroup_enable=cpuset cgroup_enable=memory swapaccount=1 rootwait ${initResize}\n`,
    'config.txt': 'gpu_mem=16\n',
    'os-release': osRelease('armhf', 'v1.9.0'),
    'user-data': pirate,
    'meta-data': 'instance-id: pirate001\n',
  }),
  'hypriotos-arm64': files({
    'cmdline.txt':
      '+dwc_otg.lpm_enable=0 console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 cgroup_enable=cpuset cgroup_enable=memory swapaccount=1 elevator=deadline fsck.repair=yes rootwait\n',
    'config.txt': 'gpu_mem=16\n',
    'os-release': osRelease('arm64', 'v20180429'),
    'user-data': pirate,
    'meta-data': 'instance-id: pirate001\n',
  }),
  'hypriotos-1.0.0': files({
    'cmdline.txt':
      '+dwc_otg.lpm_enable=0 console=tty1 root=/dev/mmcblk0p2 rootfstype=ext4 cgroup_enable=memory rootwait\n',
    'config.txt': 'gpu_mem=16\n',
    'os-release': osRelease('armhf', 'v1.0.0'),
    'device-init.yaml': '# hostname and wifi\nhostname: black-pearl\nwifi:\n  interfaces: {}\n',
  }),
}

export function stockBoot(name: string, changes: Record<string, string | undefined> = {}): BootFiles {
  return bootFilesOf(stockFiles(name, changes))
}

export function stockFiles(name: string, changes: Record<string, string | undefined> = {}): Files {
  const found = stock[name]
  if (found === undefined) throw new Error(`no stock partition ${name}`)
  const result = new Map(found)
  for (const [path, text] of Object.entries(changes)) {
    if (text === undefined) result.delete(path)
    else result.set(path, bytesOf(text))
  }
  return result
}
