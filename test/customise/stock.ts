/** Boot partitions as the publishers ship them: the text files that decide what the image is. */
import { bytesOf } from '../../src/customise/boot-draft.ts'
import { type BootFiles, bootFilesOf } from '../../src/customise/boot-files.ts'

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
