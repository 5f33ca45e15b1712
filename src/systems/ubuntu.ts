/**
 * Ubuntu Server for the Raspberry Pi, 22.04 and later.
 *
 * Its boot partition is mounted at /boot/firmware, and cloud-init takes its
 * seed from there because of the volume's label (`fs_label: system-boot`): no
 * `ds=` is needed on the command line. Since 25.10 kernel, device trees and
 * cmdline.txt lie in the folder that `os_prefix=` names (`current/`), the seed
 * where it was; nothing else on the partition tells one release from another,
 * so releases are named by the first with a layout.
 *
 * The image's own user-data gives the default user `ubuntu` a password that has
 * expired. A seed without that makes an account nobody can log in to, so it is
 * kept where the cluster file names no user.
 *
 * The network is netplan's, with systemd-networkd as its renderer.
 *
 * Source: canonical/pi-gadget, `configs/` of each release and the README on the
 * boot partition; cloud-init documentation, "NoCloud".
 */
import type { BootFiles } from '../boot/boot-files.ts'
import { formatYaml, type TreeMap } from '../boot/cloud-init.ts'
import { UsageError } from '../errors.ts'
import type { NodeState } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import { cloudFacts, networkConfig, seedData, stockSeed } from './cloud-seed.ts'
import type { OsFamily } from './family.ts'
import { networkConfigV2 } from './network/network-config.ts'
import { profilesOf } from './profiles.ts'
import { readSigns, type Signs } from './raspios-release.ts'
import { debianRoot } from './root/debian.ts'
import { hostKeySettings, radioSettings } from './scripted.ts'
import { joinSettings, type Settings } from './settings.ts'
import { startByCloudInit } from './start.ts'

interface Layout {
  /** Of the first release with it. */
  release: string
  /** Of that release. */
  kernel: 5 | 6
}

const flat: Layout = { release: '22.04', kernel: 5 }
const prefixed: Layout = { release: '25.10', kernel: 6 }
const layouts: readonly Layout[] = [flat, prefixed]

const describe = ({ release, kernel }: Layout, evidence: string[]): DetectedOs => ({
  family: 'ubuntu',
  release,
  evidence,
  traits: { cloudInit: true, kernel },
  bootMount: '/boot/firmware',
  trigger: 'cloud-init',
})

const KERNEL = 'kernel=vmlinuz'
const PREFIX = 'os_prefix=current/'

/** The root may have been given another label, to be found beside a second card. */
export function ubuntuSigns({ config, tokens }: Signs): string[] | undefined {
  const root = tokens.find((token) => token === 'root=LABEL=writable' || token === 'fixrtc')
  if (root === undefined || !config.includes(KERNEL)) return undefined
  if (!config.some((line) => /^initramfs initrd\.img\b/.test(line))) return undefined
  const prefix = config.includes(PREFIX) ? [`config.txt: ${PREFIX}`] : []
  return [`cmdline.txt: ${root}`, `config.txt: ${KERNEL}`, ...prefix]
}

export const ubuntu: OsFamily = {
  name: 'ubuntu',
  releases: layouts.map(({ release }) => release),

  async recognise(boot) {
    const signs = await readSigns(boot)
    const evidence = ubuntuSigns(signs)
    if (evidence === undefined || !signs.seed) return undefined
    return describe(signs.config.includes(PREFIX) ? prefixed : flat, evidence)
  },

  async assume(_boot, release) {
    const layout = layouts.find((candidate) => candidate.release === release)
    if (layout === undefined) throw new Error(`no layout ${release} of Ubuntu`)
    return describe(layout, ['given by hand'])
  },

  async settle(state, { os, boot }, medium) {
    const { node, facts } = state
    if (medium === 'net') throw notServed(node.name)
    const profiles = profilesOf(facts)
    const network = profiles.length === 0 ? undefined : networkConfigV2(profiles, 'networkd')
    // A published image keeps the whole user-data that it came with.
    const login = state.published ? undefined : await stockLogin(state, boot)
    return joinSettings(
      hostKeySettings(facts),
      radioSettings(facts),
      await networkConfig(boot, node.name, network, formatYaml(stockNetwork)),
      await seedData(state, { ...login, ...cloudFacts(state) }, os, boot, LOGIN),
      lostLogin(login),
    )
  },

  start: (_os, state) => startByCloudInit(state, { dsmode: 'local' }, { byCmdline: false }),
  imagerFormat: () => 'cloudinit',
  served: debianRoot,
}

/** What the image does by itself. */
const stockNetwork: TreeMap = {
  network: { version: 2, ethernets: { eth0: { dhcp4: true, optional: true } } },
}

/** Keys of the image's user-data about its user's password. */
const LOGIN = ['chpasswd', 'ssh_pwauth']

/** What the image says of its user's password; undefined: somebody else says how one logs in. */
async function stockLogin({ facts, given }: NodeState, boot: BootFiles): Promise<TreeMap | undefined> {
  const own = given.userData ?? {}
  if (facts.user !== undefined || ['user', 'users', ...LOGIN].some((key) => own[key] !== undefined))
    return undefined
  const stock = await stockSeed(boot)
  return Object.fromEntries(LOGIN.flatMap((key) => (stock[key] === undefined ? [] : [[key, stock[key]]])))
}

/** A password is in no receipt: an earlier plan for another user has taken it off the card. */
const lostLogin = (login: TreeMap | undefined): Partial<Settings> =>
  login === undefined || login.chpasswd !== undefined
    ? {}
    : {
        warnings: [
          "the image's own user-data is not on the card any more, so its user ubuntu has no password: name a user:, or write the card anew",
        ],
      }

const notServed = (node: string): UsageError =>
  new UsageError(`${node} is to boot by network, and Ubuntu is known only on cards`, {
    hint: 'Take boot: net away from it, or give it an image of Raspberry Pi OS.',
  })
