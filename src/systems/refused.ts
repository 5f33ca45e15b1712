/**
 * Systems that a first boot of ours can't set up, known by what lies on their
 * boot partition: named with the reason, so that nobody tries them as another
 * system (`--os`) and gets a card that never becomes its node.
 *
 * Source: the projects' own build files and manuals: LibreELEC (`boot=`,
 * `disk=`), Home Assistant OS (`hassos-hook.sh`), Alpine ("Raspberry Pi"),
 * NOOBS and PINN (`recovery.cmdline`), Batocera (`batocera-boot.conf`), OpenWrt
 * (bcm27xx `cmdline.txt`), Kali ("Raspberry Pi", cmdline.txt), Armbian
 * (`armbian_first_run.txt`, `root=LABEL=armbi_root`), snapd (piboot), Debian's
 * image-specs (`sysconf.txt`), rpi-image-gen (`image/gpt/ab_userdata`),
 * Raspberry Pi documentation ("boot_ramdisk").
 */
import type { BootFiles } from '../boot/boot-files.ts'
import { FormatError } from '../errors.ts'
import { debianSigns } from './debian.ts'
import { readSigns, type Signs } from './raspios-release.ts'
import { ubuntuSigns } from './ubuntu.ts'

interface Refused {
  name: string
  /** @returns what was found that says so; undefined: it is another system */
  sign(signs: Signs, has: (path: string) => Promise<boolean>, boot: BootFiles): Promise<string | undefined>
  /** Why not, as the end of a sentence. */
  reason: string
  hint: string
}

const OTHER_IMAGE = 'Use an image of Raspberry Pi OS Lite, or of Ubuntu Server for the Raspberry Pi.'
const READ_ONLY = 'its root is a read-only image without packages, accounts or systemd units of your own'

/** The first token that fits. */
const token =
  (pattern: RegExp): Refused['sign'] =>
  async ({ tokens }) => {
    const found = tokens.find((one) => pattern.test(one))
    return found === undefined ? undefined : `cmdline.txt: ${found}`
  }

/** The first of these files that is there. */
const file =
  (...paths: string[]): Refused['sign'] =>
  async (_signs, has) => {
    for (const path of paths) if (await has(path)) return path
    return undefined
  }

const systems: readonly Refused[] = [
  {
    name: 'NOOBS or PINN',
    sign: file('recovery.cmdline', 'recovery.rfs'),
    reason: 'it is an installer, which makes the partitions of a system only on the board',
    hint: 'Flash the image of the system itself.',
  },
  {
    name: 'LibreELEC, CoreELEC or Lakka',
    async sign({ tokens }, has) {
      const disk = tokens.find((one) => /^disk=(?:UUID|LABEL)=/.test(one))
      return disk !== undefined && (await has('SYSTEM')) ? `cmdline.txt: ${disk}; SYSTEM` : undefined
    },
    reason: READ_ONLY,
    hint: OTHER_IMAGE,
  },
  {
    name: 'Home Assistant OS',
    async sign({ config }, has) {
      const line = 'kernel=u-boot.bin'
      return config.includes(line) && (await has('boot.scr')) ? `config.txt: ${line}; boot.scr` : undefined
    },
    reason: READ_ONLY,
    hint: `Home Assistant runs in Docker on a node, too. ${OTHER_IMAGE}`,
  },
  {
    name: 'Batocera',
    sign: file('batocera-boot.conf', 'boot/batocera', 'boot/batocera.update'),
    reason: READ_ONLY,
    hint: OTHER_IMAGE,
  },
  {
    name: 'Alpine Linux',
    sign: file('.alpine-release', 'boot/modloop-rpi', 'boot/initramfs-rpi', 'boot/vmlinuz-rpi'),
    reason: 'it has neither systemd nor apt, and runs from RAM unless it is installed',
    hint: OTHER_IMAGE,
  },
  {
    name: 'OpenWrt',
    sign: token(/^rootfstype=squashfs,ext4$/),
    reason: 'it has neither systemd nor apt, and keeps its settings in UCI',
    hint: OTHER_IMAGE,
  },
  {
    name: 'Ubuntu Core',
    sign: token(/^snapd_recovery_mode=/),
    reason: READ_ONLY,
    hint: 'Use an image of Ubuntu Server for the Raspberry Pi.',
  },
  {
    name: 'Ubuntu Desktop',
    async sign(signs) {
      const found = signs.seed ? undefined : ubuntuSigns(signs)
      return found === undefined ? undefined : `${found.join('; ')}; no user-data`
    },
    reason: 'nothing on its boot partition sets it up: its first user is made at the screen',
    hint: 'Use an image of Ubuntu Server for the Raspberry Pi.',
  },
  {
    name: 'an image of rpi-image-gen with two slots',
    sign: token(/^root=\/dev\/disk\/by-slot\/active\/system$/),
    reason: `${READ_ONLY}, and each update replaces it with the boot partition`,
    hint: "Build it with rpi-image-gen's layout of one root (image-rpios), or add to the image itself there.",
  },
  {
    name: 'a boot partition inside boot.img',
    async sign({ config }, has) {
      const line = 'boot_ramdisk=1'
      if (!(await has('boot.img'))) return undefined
      if (config.includes(line)) return `boot.img; config.txt: ${line}`
      return (await has('boot.sig')) ? 'boot.img; boot.sig' : undefined
    },
    reason: 'the firmware reads config.txt and cmdline.txt in there, where a signature may cover them',
    hint: 'Set the node up where boot.img is built, or use an image without it.',
  },
  {
    name: 'Kali Linux',
    async sign({ tokens, date }) {
      const both = ['dwc_otg.fiq_fix_enable=2', 'net.ifnames=0']
      const found = date === undefined && both.every((one) => tokens.includes(one))
      return found ? `cmdline.txt: ${both.join(' ')}` : undefined
    },
    reason: "it is not one of the releases that Docker's, k3s' and the first boot's packages are made for",
    hint: OTHER_IMAGE,
  },
  {
    name: 'Armbian',
    async sign(signs, has, boot) {
      const byRoot = signs.tokens.find((one) => one === 'root=LABEL=armbi_root')
      if (byRoot !== undefined) return `cmdline.txt: ${byRoot}`
      return file('armbianEnv.txt', 'armbian_first_run.txt.template')(signs, has, boot)
    },
    reason: 'its own first run changes accounts and network after ours',
    hint: OTHER_IMAGE,
  },
  {
    name: 'Debian before Bullseye',
    async sign(_signs, _has, boot) {
      const { kernel, evidence = [] } = (await debianSigns(boot)) ?? {}
      return kernel !== undefined && kernel[0] < 5 ? evidence.join('; ') : undefined
    },
    reason: 'its ssh server and its raspi-firmware read none of the files that a node is set up with',
    hint: "Use Debian's image of Bullseye or later, or one of Raspberry Pi OS Lite.",
  },
]

/** @throws {FormatError} it is one of these */
export async function refuseOthers(boot: BootFiles): Promise<void> {
  const signs = await readSigns(boot)
  const has = async (path: string) => {
    const slash = path.lastIndexOf('/')
    const entries = await boot.list(slash === -1 ? '' : path.slice(0, slash))
    const name = path.slice(slash + 1).toLowerCase()
    return entries.some((entry) => entry.name.toLowerCase() === name)
  }
  for (const { name, sign, reason, hint } of systems) {
    const evidence = await sign(signs, has, boot)
    if (evidence !== undefined) throw new FormatError(`this is ${name} (${evidence}): ${reason}`, { hint })
  }
}
