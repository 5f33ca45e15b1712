/**
 * Debian's own images for the Raspberry Pi (raspi.debian.net), Bullseye and later.
 *
 * The package raspi-firmware writes config.txt and cmdline.txt anew with every
 * kernel, and once after the first boot: what a node needs of both stands in the
 * files that it reads for that, too. The first boot itself is started before, by
 * the command line as the image has it.
 *
 * `sysconf.txt` is read by a script of the image at each boot and may hold a
 * host name, root's password and root's key: it is left as it is, and the host
 * name of the node is set after it.
 *
 * The image has ifupdown, an ssh server, no sudo, and root without a password.
 *
 * Source: Debian's image-specs (`rootfs/`, `generate-recipe.py`); raspi-firmware,
 * `/etc/default/raspi-firmware`. Not tried on a board.
 */
import { type BootFiles, bytesOf } from '../boot/boot-files.ts'
import { type CmdlineEdit, editCmdline } from '../boot/cmdline-txt.ts'
import { type ConfigTxtLine, editConfigTxt } from '../boot/config-txt.ts'
import { UsageError } from '../errors.ts'
import type { NodeState } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import type { OsFamily } from './family.ts'
import { readSigns } from './raspios-release.ts'
import { debianRoot } from './root/debian.ts'
import { scriptedSettings } from './scripted.ts'
import { joinSettings, type Settings } from './settings.ts'
import { startBySystemdRun } from './start.ts'

interface DebianRelease {
  name: string
  /** Its kernel, or the first one that is newer. */
  from: [number, number]
  kernel: 5 | 6
}

/** Newest first. */
const releases: readonly DebianRelease[] = [
  { name: 'trixie', from: [6, 12], kernel: 6 },
  { name: 'bookworm', from: [6, 1], kernel: 6 },
  { name: 'bullseye', from: [5, 10], kernel: 5 },
]

const describe = ({ name, kernel }: DebianRelease, evidence: string[]): DetectedOs => ({
  family: 'debian',
  release: name,
  evidence,
  traits: { cloudInit: false, kernel },
  bootMount: '/boot/firmware',
  trigger: 'systemd.run',
})

const ROOT = 'root=LABEL=RASPIROOT'
const SYSCONF = 'sysconf.txt'

/** What says that it is Debian's; and the line with its kernel, whatever release that belongs to. */
export async function debianSigns(
  boot: BootFiles,
): Promise<{ evidence: string[]; kernel: [number, number] | undefined } | undefined> {
  const { tokens, names, config } = await readSigns(boot)
  const evidence = [
    ...(tokens.includes(ROOT) ? [`cmdline.txt: ${ROOT}`] : []),
    ...(names.includes(SYSCONF) ? [SYSCONF] : []),
  ]
  if (evidence.length === 0) return undefined
  const line = config.find((one) => /^kernel=vmlinuz-\d+\.\d+/.test(one))
  const [, major, minor] = /vmlinuz-(\d+)\.(\d+)/.exec(line ?? '') ?? []
  if (line === undefined || major === undefined) return { evidence, kernel: undefined }
  return { evidence: [...evidence, `config.txt: ${line}`], kernel: [Number(major), Number(minor)] }
}

const isAtLeast = ([major, minor]: [number, number], [wantedMajor, wantedMinor]: [number, number]): boolean =>
  major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)

export const debian: OsFamily = {
  name: 'debian',
  releases: releases.map(({ name }) => name),

  async recognise(boot) {
    const { evidence = [], kernel } = (await debianSigns(boot)) ?? {}
    if (kernel === undefined) return undefined
    const release = releases.find(({ from }) => isAtLeast(kernel, from))
    return release === undefined ? undefined : describe(release, evidence)
  },

  async assume(_boot, name) {
    const release = releases.find((candidate) => candidate.name === name)
    if (release === undefined) throw new Error(`no release ${name} of Debian`)
    return describe(release, ['given by hand'])
  },

  async settle(state, { os }, medium) {
    if (medium === 'net') throw notServed(state.node.name)
    const settings = scriptedSettings(state, os)
    return joinSettings(settings, kept(settings, state), {
      warnings: [
        "root has no password on Debian's image, and there is no sudo: whoever has an account becomes root with su, until you set one (root_pw= in sysconf.txt)",
      ],
    })
  },

  start: startBySystemdRun,
  served: debianRoot,
}

/** The same parameters and lines for the next time that raspi-firmware writes its files. */
function kept(settings: Settings, state: NodeState): Partial<Settings> {
  const parameters = [...settings.kernel, ...state.kernel].reduce<string[]>(
    (tokens, edit: CmdlineEdit) => editCmdline(tokens, edit),
    [],
  )
  const lines: ConfigTxtLine[] = [...settings.config, ...state.config]
  const file = (path: string, text: string): Settings['rootFiles'][number] => ({
    ...{ path, content: bytesOf(text), mode: '0644', owner: 'root', group: 'root' },
  })
  return {
    rootFiles: [
      ...(parameters.length === 0
        ? []
        : [file('/etc/default/raspi-extra-cmdline', `${parameters.join(' ')}\n`)]),
      ...(lines.length === 0 ? [] : [file('/etc/default/raspi-firmware-custom', editConfigTxt('', lines))]),
    ],
  }
}

const notServed = (node: string): UsageError =>
  new UsageError(`${node} is to boot by network, and Debian's own image is known only on cards`, {
    hint: 'Take boot: net away from it, or give it an image of Raspberry Pi OS.',
  })
