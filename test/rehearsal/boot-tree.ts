/**
 * Boot and root trees of diskless nodes, small and of real structure: kernels
 * with the header the firmware looks for, a cpio archive, ELF headers, the
 * files a system is told from.
 */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

export const RELEASE = {
  kernel8: '6.12.34+rpt-rpi-v8',
  kernel2712: '6.12.34+rpt-rpi-2712',
  kernel7: '6.12.34+rpt-rpi-v7',
}

/** A 64-bit Image whose text names its release. */
export function arm64Kernel(release: string, bytes = 200_000): Buffer {
  const image = Buffer.alloc(bytes)
  image.writeUInt32LE(0x644d5241, 56)
  image.write(`Linux version ${release} (builder@host) (gcc 14) #1 SMP PREEMPT\n`, 90_000, 'latin1')
  // Something that gzip doesn't pack away.
  for (let at = 100_000; at + 4 <= bytes; at += 4) image.writeUInt32LE((at * 2654435761) % 2 ** 32, at)
  return image
}

/** A 32-bit kernel, which unpacks itself. */
export function zImage(release: string): Buffer {
  const header = Buffer.alloc(256)
  const packed = gzipSync(Buffer.from(`\0Linux version %s\0Linux version ${release} (builder@host) #1 SMP\n`))
  header.writeUInt32LE(0x016f2818, 36)
  header.writeUInt32LE(header.length + packed.length, 44)
  return Buffer.concat([header, packed])
}

/** A cpio archive in the form the kernel unpacks. */
export function cpio(names: readonly string[]): Buffer {
  const entry = (name: string, mode: number) => {
    const fields = [0, mode, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.length + 1, 0]
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`
    return Buffer.concat([Buffer.from(header), Buffer.alloc((4 - (header.length % 4)) % 4)])
  }
  return Buffer.concat([...names.map((name) => entry(name, 0o100644)), entry('TRAILER!!!', 0)])
}

export const initramfsFiles = (release: string): string[] => [
  'init',
  'scripts/nfs',
  'usr/bin/nfsmount',
  ...['nfs', 'nfsv3', 'sunrpc'].map((name) => `usr/lib/modules/${release}/kernel/fs/${name}.ko.xz`),
]

export const initramfs = (release: string): Buffer => gzipSync(cpio(initramfsFiles(release)))

export function elf(machine: number): Buffer {
  const header = Buffer.alloc(64)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE(2, 16)
  header.writeUInt16LE(machine, 18)
  return header
}

const deviceTree = Buffer.concat([Buffer.from('d00dfeed', 'hex'), Buffer.alloc(2000)])

export type Files = Record<string, Uint8Array | string>

export const bootFiles = (): Files => ({
  'bootcode.bin': Buffer.alloc(3000, 1),
  'start.elf': Buffer.alloc(50_000, 2),
  'fixup.dat': Buffer.alloc(5000, 3),
  'start4.elf': Buffer.alloc(40_001, 4),
  // A whole number of blocks, which a transfer ends with an empty one.
  'fixup4.dat': Buffer.alloc(4096, 5),
  'config.txt':
    'arm_64bit=1\nauto_initramfs=1\ndtparam=sd_poll_once\n[cm4]\notg_mode=1\n[pi3]\n[board-type=0x99]\nkernel=nobody.img\n[all]\n',
  'bcm2710-rpi-3-b.dtb': deviceTree,
  'bcm2710-rpi-3-b-plus.dtb': deviceTree,
  'bcm2711-rpi-4-b.dtb': deviceTree,
  'bcm2712-rpi-5-b.dtb': deviceTree,
  'bcm2712d0-rpi-5-b.dtb': deviceTree,
  'overlays/overlay_map.dtb': deviceTree,
  'kernel8.img': gzipSync(arm64Kernel(RELEASE.kernel8)),
  'kernel_2712.img': arm64Kernel(RELEASE.kernel2712),
  'kernel7.img': zImage(RELEASE.kernel7),
  initramfs7: initramfs(RELEASE.kernel7),
  'bcm2709-rpi-2-b.dtb': deviceTree,
  'bcm2710-rpi-2-b.dtb': deviceTree,
  initramfs8: initramfs(RELEASE.kernel8),
  initramfs_2712: initramfs(RELEASE.kernel2712),
})

export const rootFiles = (name: string): Files => ({
  'etc/fstab': 'proc /proc proc defaults 0 0\n',
  'etc/hostname': `${name}\n`,
  'etc/machine-id': `${Buffer.from(name.padEnd(16, '.')).toString('hex')}\n`,
  'etc/shadow': 'root:*:20000:0:99999:7:::\n',
  'etc/ssh/sshd_config': '',
  'etc/ssh/ssh_host_ed25519_key.pub': `ssh-ed25519 ${Buffer.from(name).toString('base64')} root@${name}\n`,
  'usr/lib/systemd/systemd': elf(183),
  [`usr/lib/modules/${RELEASE.kernel8}/modules.dep`]: '',
  [`usr/lib/modules/${RELEASE.kernel2712}/modules.dep`]: '',
  [`usr/lib/modules/${RELEASE.kernel7}/modules.dep`]: '',
})

export function writeFiles(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
}

/** A root as Debian lays it out, with its links. */
export function writeRoot(folder: string, name: string): void {
  writeFiles(folder, rootFiles(name))
  for (const link of ['bin', 'lib', 'sbin']) symlinkSync(`usr/${link}`, join(folder, link))
  mkdirSync(join(folder, 'usr/sbin'))
  symlinkSync('/lib/systemd/systemd', join(folder, 'usr/sbin/init'))
  chmodSync(join(folder, 'usr/lib/systemd/systemd'), 0o755)
  chmodSync(join(folder, 'etc/shadow'), 0o640)
}
