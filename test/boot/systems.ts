/**
 * The fixture images as each system would have them: boot partition, command
 * line, where it is mounted, what starts a first boot. The kernel, systemd and
 * programs of the root stay Debian's; what is tried is what piimage writes for
 * that system, and that this board starts it.
 *
 * mtools and debugfs change the unpacked image, so no mount is needed.
 *
 * Layouts: see test/fixtures/families.gen.sh.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../support/tools.ts'
import { BOOT } from './flashed-card.ts'

export type Cpu = 'armv6' | 'armv7' | 'arm64'
export type System = 'stretch' | 'buster' | 'bullseye' | 'bookworm' | 'trixie' | 'ubuntu'

/** Kernel and initial RAM disk of the fixtures. */
const started: Record<Cpu, { kernel: string; initramfs: string }> = {
  armv6: { kernel: 'kernel.img', initramfs: 'initramfs' },
  armv7: { kernel: 'kernel7.img', initramfs: 'initramfs7' },
  arm64: { kernel: 'kernel8.img', initramfs: 'initramfs8' },
}
/** Of those that have no cloud-init: when the image was made. */
const dates: Partial<Record<System, string>> = {
  stretch: '2018-11-13',
  buster: '2020-08-20',
  bullseye: '2023-05-03',
  bookworm: '2025-05-13',
}
const PART = 'root=PARTUUID=7a3f1c55-02'
const consoles = 'console=serial0,115200 console=tty1'

function must(command: string, args: readonly string[], input?: string): string {
  const ran = run(command, args, { input, env: { MTOOLS_SKIP_CHECK: '1' } })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`)
  return ran.stdout
}

const versions: Partial<Record<System, string>> = {
  stretch: '9',
  buster: '10',
  bullseye: '11',
  bookworm: '12',
}

/** What the root says that it is. */
function osRelease(system: System): string {
  if (system === 'ubuntu')
    return 'PRETTY_NAME="Ubuntu 25.10"\nID=ubuntu\nVERSION_ID="25.10"\nVERSION_CODENAME=questing\n'
  const version = versions[system]
  return `PRETTY_NAME="Raspbian GNU/Linux ${version} (${system})"\nID=raspbian\nVERSION_ID="${version}"\nVERSION="${version} (${system})"\n`
}

/** @param image the unpacked fixture of that CPU; changed. @param folder for what is written on the way */
export function arrange(image: string, folder: string, system: System, cpu: Cpu): void {
  if (system === 'trixie') return
  const volume = `${image}@@${BOOT.offset}`
  const put = (name: string, text: string) => must('mcopy', ['-o', '-i', volume, '-', `::${name}`], text)
  const drop = (name: string) => run('mdel', ['-i', volume, `::${name}`], { env: { MTOOLS_SKIP_CHECK: '1' } })
  const bits = cpu === 'arm64' ? 1 : 0
  const root: RootFile[] = [{ path: '/usr/lib/os-release', text: osRelease(system) }]
  if (system === 'ubuntu') {
    arrangeUbuntu(volume, cpu, put)
    drop('issue.txt')
    root.push(...ubuntuRoot)
  } else {
    for (const name of ['user-data', 'meta-data', 'network-config', 'start4.elf']) drop(name)
    const { initramfs } = started[cpu]
    const isNew = system === 'bookworm'
    const config = [
      `arm_64bit=${bits}`,
      isNew ? 'auto_initramfs=1' : `initramfs ${initramfs} followkernel`,
      ...(system === 'stretch' || system === 'buster' ? [] : ['camera_auto_detect=1']),
    ]
    put('config.txt', `${config.join('\n')}\n`)
    put('issue.txt', `Raspberry Pi reference ${dates[system]}\n`)
    // Whoever has one part of the firmware has all that the board asks for.
    for (const name of ['bootcode.bin', 'start.elf', 'fixup.dat']) put(name, 'elf')
    if (system !== 'stretch') for (const name of ['start4.elf', 'fixup4.dat']) put(name, 'elf')
    put('cmdline.txt', `${consoles} ${PART} rootfstype=ext4 fsck.repair=yes rootwait cloud-init=disabled\n`)
    if (!isNew) root.push({ path: '/etc/fstab', text: fstab('/boot') })
  }
  writeRoot(image, folder, root)
}

const fstab = (mount: string): string =>
  `PARTUUID=7a3f1c55-01 ${mount} vfat defaults 0 2\nPARTUUID=7a3f1c55-02 / ext4 defaults,noatime 0 1\n`

interface RootFile {
  path: string
  text: string
}

const ubuntuRoot: RootFile[] = [
  {
    path: '/etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg',
    text: 'datasource_list: [ NoCloud, None ]\ndatasource:\n  NoCloud:\n    fs_label: system-boot\n',
  },
  {
    path: '/etc/fstab',
    text: 'LABEL=writable / ext4 defaults 0 1\nPARTUUID=7a3f1c55-01 /boot/firmware vfat defaults 0 1\n',
  },
]

/** As of 25.10: what a kernel comes with in a folder of its own. */
function arrangeUbuntu(volume: string, cpu: Cpu, put: (name: string, text: string) => void): void {
  const { kernel, initramfs } = started[cpu]
  must('mmd', ['-i', volume, '::current', '::current/overlays'])
  for (const [from, to] of [
    [kernel, 'vmlinuz'],
    [initramfs, 'initrd.img'],
  ])
    must('mmove', ['-i', volume, `::${from}`, `::current/${to}`])
  const trees = must('mdir', ['-b', '-i', volume, '::']).match(/::\/\S+\.dtb/g) ?? []
  for (const tree of trees) must('mmove', ['-i', volume, tree, '::current/'])
  put(
    'config.txt',
    `[all]\nos_prefix=current/\n\n[all]\narm_64bit=${cpu === 'arm64' ? 1 : 0}\nkernel=vmlinuz\ncmdline=cmdline.txt\ninitramfs initrd.img followkernel\n`,
  )
  put(
    'current/cmdline.txt',
    `${consoles} multipath=off root=LABEL=writable rootfstype=ext4 panic=10 rootwait fixrtc\n`,
  )
  put('user-data', '#cloud-config\nchpasswd:\n  expire: true\nssh_pwauth: false\n')
  put('meta-data', 'dsmode: local\ninstance-id: cloud-image\n')
  put('network-config', 'network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n')
  must('mlabel', ['-i', volume, '::system-boot'])
}

function writeRoot(image: string, folder: string, files: readonly RootFile[]): void {
  const commands = files.some(({ text }) => text.includes('LABEL=writable'))
    ? ['ssv volume_name writable']
    : []
  for (const [index, { path, text }] of files.entries()) {
    const source = join(folder, `root-file-${index}`)
    writeFileSync(source, text, { mode: 0o644 })
    commands.push(`rm ${path}`, `write ${source} ${path}`)
  }
  const script = join(folder, 'debugfs-commands')
  writeFileSync(script, `${commands.join('\n')}\n`)
  const root = `${image}?offset=${BOOT.offset + BOOT.length}`
  must('debugfs', ['-w', '-f', script, root])
  const checked = run('e2fsck', ['-fn', root])
  if (checked.status !== 0) throw new Error(`e2fsck: ${checked.stdout}`)
}
