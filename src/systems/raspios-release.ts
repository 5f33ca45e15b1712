/**
 * Which release of Raspberry Pi OS lies on a boot partition; also for systems
 * built on it. Told from files and their contents, never from names of images.
 *
 * Source: RPi-Distro/pi-gen, `stage1/00-boot-files`, `stage2` and
 * `export-image` of each release's branch; raspberrypi/rpi-image-gen, `image/mbr/simple_dual`.
 */
import { type BootFiles, readText } from '../boot/boot-files.ts'
import { parseCmdline } from '../boot/cmdline-txt.ts'
import { PRESEED } from '../boot/preseed.ts'
import type { DetectedOs, Trigger } from '../node/system.ts'

export interface Release {
  name: string
  bootMount: DetectedOs['bootMount']
  kernel: 4 | 5 | 6
  trigger: Trigger
}

export const releases: readonly Release[] = [
  { name: 'stretch', bootMount: '/boot', kernel: 4, trigger: 'init' },
  { name: 'buster', bootMount: '/boot', kernel: 4, trigger: 'systemd.run' },
  { name: 'bullseye', bootMount: '/boot', kernel: 5, trigger: 'systemd.run' },
  { name: 'bookworm', bootMount: '/boot/firmware', kernel: 6, trigger: 'systemd.run' },
  { name: 'trixie', bootMount: '/boot/firmware', kernel: 6, trigger: 'systemd.run' },
]

export function releaseNamed(name: string): Release {
  const row = releases.find((release) => release.name === name)
  if (row === undefined) throw new Error(`no release ${name} of Raspberry Pi OS`)
  return row
}

/** What the boot partition shows, before anything is concluded. */
export interface Signs {
  /** cloud-init's seed files are there. */
  seed: boolean
  /** Of cmdline.txt. */
  tokens: string[]
  /** Lines of config.txt, trimmed. */
  config: string[]
  /** Names in the root, lower case. */
  names: string[]
  /** YYYY-MM-DD, from issue.txt. */
  date: string | undefined
}

export async function readSigns(boot: BootFiles): Promise<Signs> {
  const names = (await boot.list('')).map(({ name }) => name.toLowerCase())
  const issue = (await readText(boot, 'issue.txt')) ?? ''
  return {
    seed: names.includes('user-data') && names.includes('meta-data'),
    tokens: parseCmdline((await readText(boot, 'cmdline.txt')) ?? ''),
    config: ((await readText(boot, 'config.txt')) ?? '').split(/\r?\n/).map((line) => line.trim()),
    names,
    date: /Raspberry Pi reference (\d{4}-\d\d-\d\d)/.exec(issue)?.[1],
  }
}

/** How rpi-image-gen's images with one root name it, by a udev rule of their own. */
const BY_SLOT = 'root=/dev/disk/by-slot/system'

/** Whether anything says that the image was made by pi-gen or rpi-image-gen, or in their layout. */
export function looksLikeRaspios({ seed, tokens, config, names, date }: Signs): boolean {
  const ownInit = [
    'init=/usr/lib/raspberrypi-sys-mods/firstboot',
    'init=/usr/lib/raspi-config/init_resize.sh',
  ]
  return (
    tokens.some((token) => token.startsWith('root=')) &&
    (seed ||
      names.includes(PRESEED) ||
      date !== undefined ||
      config.includes('auto_initramfs=1') ||
      tokens.some((token) => token === 'resize' || token === BY_SLOT || ownInit.includes(token)))
  )
}

/** The first rule that fits decides; each names its evidence. */
export function concludeRelease({ seed, tokens, config, names, date }: Signs): {
  release: Release
  evidence: string[]
} {
  const issue = date === undefined ? [] : [`issue.txt: Raspberry Pi reference ${date}`]
  const found = (name: string, evidence: string) => ({
    release: releaseNamed(name),
    evidence: [evidence, ...issue],
  })
  if (seed) return found('trixie', 'user-data and meta-data: cloud-init reads this partition')
  if (tokens.includes('resize')) return found('trixie', 'cmdline.txt: resize')
  if (names.includes(PRESEED)) return found('trixie', `${PRESEED}: rpi-preseed reads this partition`)
  // Both of the releases that it builds are laid out and started alike; Trixie is what it takes by itself.
  if (tokens.includes(BY_SLOT)) return found('trixie', `cmdline.txt: ${BY_SLOT}`)
  if (config.includes('auto_initramfs=1')) return found('bookworm', 'config.txt: auto_initramfs=1')
  const firstboot = tokens.find((token) => token === 'init=/usr/lib/raspberrypi-sys-mods/firstboot')
  if (firstboot !== undefined) return found('bullseye', `cmdline.txt: ${firstboot}`)
  if (config.includes('camera_auto_detect=1')) return found('bullseye', 'config.txt: camera_auto_detect=1')
  // Files for the Pi 4, which came with Buster.
  if (names.includes('start4.elf')) return found('buster', 'start4.elf, and no camera_auto_detect')
  return found('stretch', 'no start4.elf: older than the Pi 4')
}
