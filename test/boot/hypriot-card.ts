/**
 * A stock card in HypriotOS's layout that boots in QEMU: kernel and root file
 * system of the fixture image, laid out and told what to read as HypriotOS 1.12
 * is. FAT16 `HypriotOS` of 64 MiB at sector 2048, mounted at /boot; the seed in
 * /var/lib/cloud/seed/nocloud-net, as links to /boot; `fake-hwclock.data` there.
 *
 * The root file system is edited by debugfs, so no mount and no root is needed.
 *
 * Source: hypriot/image-builder-rpi, builder/chroot-script.sh; hypriot/image-builder-raw.
 */
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../support/tools.ts'

const SECTOR = 512
const DISK_ID = '15895a21'
const boot = { start: 2048, sectors: 64 * 2048 }

function must(command: string, args: readonly string[], input?: string): string {
  const ran = run(command, args, {
    env: { MTOOLS_SKIP_CHECK: '1' },
    ...(input === undefined ? {} : { input }),
  })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`)
  return ran.stdout
}

/** Where the fixture's partitions lie: sectors, from its partition table. */
function partitionOf(image: string, index: number): { start: number; sectors: number } {
  const table = Buffer.alloc(SECTOR)
  const file = openSync(image, 'r')
  readSync(file, table, 0, SECTOR, 0)
  closeSync(file)
  const at = 446 + 16 * index
  return { start: table.readUInt32LE(at + 8), sectors: table.readUInt32LE(at + 12) }
}

const stockSeed = `#cloud-config
# vim: syntax=yaml
hostname: black-pearl
manage_etc_hosts: true
users:
  - name: pirate
    gecos: "Hypriot Pirate"
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    groups: users,docker,video,input
    plain_text_passwd: hypriot
    lock_passwd: false
package_upgrade: false
`

const bootFiles: Record<string, string> = {
  'cmdline.txt': `dwc_otg.lpm_enable=0 console=tty1 root=PARTUUID=${DISK_ID}-02 rootfstype=ext4 cgroup_enable=cpuset cgroup_enable=memory swapaccount=1 elevator=deadline fsck.repair=yes rootwait console=ttyAMA0,115200\n`,
  'config.txt': 'hdmi_force_hotplug=1\nenable_uart=1\n\nstart_x=0\n',
  'os-release':
    'ID=raspbian\nHYPRIOT_OS="HypriotOS/armhf"\nHYPRIOT_DEVICE="Raspberry Pi"\nHYPRIOT_IMAGE_VERSION="v1.12.3"\n',
  'user-data': stockSeed,
  'meta-data': 'instance-id: pirate001\n',
  'network-config':
    'version: 1\nconfig:\n  - type: physical\n    name: eth0\n    subnets:\n      - type: dhcp\n',
  'fake-hwclock.data': '2020-07-02 14:17:05\n',
}

const rootFiles: Record<string, string> = {
  '/usr/lib/os-release':
    'PRETTY_NAME="Raspbian GNU/Linux 10 (buster)"\nID=raspbian\nVERSION_CODENAME=buster\n',
  '/etc/hostname': 'black-pearl\n',
  '/etc/hosts': '127.0.0.1\tlocalhost\n127.0.1.1\tblack-pearl\n',
  '/etc/fstab': `proc /proc proc defaults 0 0\nPARTUUID=${DISK_ID}-01 /boot vfat defaults 0 0\nPARTUUID=${DISK_ID}-02 / ext4 defaults,noatime 0 1\n`,
  '/etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg': 'datasource_list: [ NoCloud ]\n',
  '/etc/systemd/system/cloud-init-main.service.d/boot.conf': '[Unit]\nRequiresMountsFor=/boot\n',
}

/** @param folder gets the card and parts of it; @returns the path of the card */
export function makeHypriotCard(fixture: string, folder: string): string {
  const at = (name: string) => join(folder, name)
  const stock = at('fixture.img')
  must('sh', ['-c', 'xz -dc "$1" | dd of="$2" bs=1M conv=sparse status=none', 'sh', fixture, stock])
  const [oldBoot, oldRoot] = [partitionOf(stock, 0), partitionOf(stock, 1)]

  const root = at('root.img')
  const copy = ['bs=1M', 'iflag=skip_bytes,count_bytes', 'conv=sparse', 'status=none']
  must('dd', [
    `if=${stock}`,
    `of=${root}`,
    `skip=${oldRoot.start * SECTOR}`,
    `count=${oldRoot.sectors * SECTOR}`,
    ...copy,
  ])
  adaptRoot(root, folder)

  const fat = at('boot.img')
  must('truncate', ['-s', String(boot.sectors * SECTOR), fat])
  must('mkfs.fat', ['-F', '16', '-n', 'HypriotOS', '-i', DISK_ID, '--invariant', fat])
  const from = `${stock}@@${oldBoot.start * SECTOR}`
  // No more of the firmware: QEMU starts the kernel, and 64 MiB are soon full.
  for (const name of ['kernel8.img', 'initramfs8']) {
    must('mcopy', ['-o', '-i', from, `::${name}`, at(name)])
    must('mcopy', ['-i', fat, at(name), '::'])
  }
  // The tree of the board, under the name that Hypriot's kernel has for it.
  must('mcopy', ['-o', '-i', from, '::bcm2837-rpi-3-b.dtb', at('tree.dtb')])
  must('mcopy', ['-i', fat, at('tree.dtb'), '::bcm2710-rpi-3-b.dtb'])
  for (const [name, text] of Object.entries(bootFiles)) must('mcopy', ['-i', fat, '-', `::${name}`], text)

  const card = at('stock.img')
  const rootStart = boot.start + boot.sectors
  must('truncate', ['-s', String((rootStart + oldRoot.sectors) * SECTOR), card])
  must(
    'sfdisk',
    ['-q', card],
    `label: dos\nlabel-id: 0x${DISK_ID}\nstart=${boot.start}, size=${boot.sectors}, type=c\nstart=${rootStart}, size=${oldRoot.sectors}, type=83\n`,
  )
  for (const [part, start] of [
    [fat, boot.start],
    [root, rootStart],
  ] as const) {
    const place = ['oflag=seek_bytes', `seek=${start * SECTOR}`, 'conv=notrunc,sparse', 'status=none']
    must('dd', [`if=${part}`, `of=${card}`, 'bs=1M', ...place])
  }
  must('rm', [stock, root, fat])
  return card
}

function adaptRoot(root: string, folder: string): void {
  const commands = ['ssv volume_name root', 'mkdir /etc/systemd/system/cloud-init-main.service.d']
  for (const [index, [path, text]] of Object.entries(rootFiles).entries()) {
    const source = join(folder, `root-file-${index}`)
    writeFileSync(source, text, { mode: 0o644 })
    commands.push(`rm ${path}`, `write ${source} ${path}`)
  }
  commands.push('mkdir /var/lib/cloud', 'mkdir /var/lib/cloud/seed', 'mkdir /var/lib/cloud/seed/nocloud-net')
  for (const name of ['user-data', 'meta-data', 'network-config'])
    commands.push(`symlink /var/lib/cloud/seed/nocloud-net/${name} /boot/${name}`)
  must('debugfs', ['-w', '-f', '-', root], `${commands.join('\n')}\n`)
  const checked = run('e2fsck', ['-fn', root])
  if (checked.status !== 0) throw new Error(`e2fsck: ${checked.stdout}`)
}
