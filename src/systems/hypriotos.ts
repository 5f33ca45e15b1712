/**
 * HypriotOS, for 32 and 64 bits.
 *
 * Since 1.7 an old cloud-init (0.7.9, later 18.x) reads its seed from the boot
 * partition; before, `device-init.yaml` gave the host name and little else. The
 * user `pirate` is made by the seed: a seed without users gives a node nobody
 * can log in to, so the image's own are kept where the cluster file names none.
 *
 * This cloud-init has no module for the keyboard, and its network-config counts
 * only since 1.12.1 (then without the `network:` key); locale and, before that,
 * addresses are set by early steps.
 *
 * Since 1.12.0 the clock of a node without network starts from
 * `fake-hwclock.data` on the boot partition, in UTC. The image's is the day it
 * was built, when no certificate of today was valid; the day on which the lock
 * was checked is the latest that is known without asking a clock, which would
 * make every plan another one.
 *
 * Source: hypriot/image-builder-rpi, `builder/files/etc/cloud/cloud.cfg` and
 * `builder/chroot-script.sh`; hypriot/flash.
 */

import { type BootFiles, bytesOf, readText } from '../boot/boot-files.ts'
import { formatYaml, parseYamlMap, type TreeMap } from '../boot/cloud-init.ts'
import type { NodeInterface, User } from '../cluster/node.ts'
import type { NodeState, SystemFacts } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import {
  cloudFurther,
  cloudLogin,
  networkConfig,
  replacedUserData,
  stockSeed,
  userData,
} from './cloud-seed.ts'
import type { OsFamily, SystemImage } from './family.ts'
import { formatInterfacesD } from './network/interfaces-d.ts'
import { networkConfigV1 } from './network/network-config.ts'
import type { NetworkProfile } from './network/profile.ts'
import { formatWpaSupplicant } from './network/wpa-supplicant.ts'
import { profilesOf } from './profiles.ts'
import { debianRoot } from './root/debian.ts'
import {
  acceptsPasswords,
  hostKeySettings,
  radioSettings,
  scriptedSettings,
  scriptLocale,
  scriptNetwork,
} from './scripted.ts'
import { joinSettings, type Settings } from './settings.ts'
import { startByCloudInit, startByInitShell } from './start.ts'

const CLOCK_FILE = 'fake-hwclock.data'

/** Named by the first version that works so. */
type Generation = '1.0' | '1.7' | '1.12.1' | 'arm64'
const generations: readonly Generation[] = ['1.0', '1.7', '1.12.1', 'arm64']

function generationOf(release: string): { generation: Generation; evidence: string[] } {
  const version = /^HYPRIOT_IMAGE_VERSION="?v?([^"\s]+)/m.exec(release)?.[1] ?? ''
  const evidence = [`os-release: HYPRIOT_IMAGE_VERSION=${version}`]
  const is64 = /^(?:HYPRIOT_OS="?HypriotOS\/arm64|HYPRIOT_DEVICE=.*64bit)/m
  if (is64.test(release)) return { generation: 'arm64', evidence }
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number)
  const isAtLeast = (wanted: [number, number, number]) =>
    [major, minor, patch].map((n) => String(n).padStart(4, '0')).join() >=
    wanted.map((n) => String(n).padStart(4, '0')).join()
  const generation = isAtLeast([1, 12, 1]) ? '1.12.1' : isAtLeast([1, 7, 0]) ? '1.7' : '1.0'
  return { generation, evidence }
}

const describe = (generation: Generation, evidence: string[]): DetectedOs => ({
  family: 'hypriotos',
  release: generation,
  evidence,
  traits: { cloudInit: generation !== '1.0', kernel: 4 },
  bootMount: '/boot',
  trigger: generation === '1.0' ? 'init' : 'cloud-init',
})

export const hypriotos: OsFamily = {
  name: 'hypriotos',
  releases: generations,

  async recognise(boot: BootFiles) {
    const release = await readText(boot, 'os-release')
    if (release === undefined || !/^HYPRIOT_IMAGE_VERSION=/m.test(release)) return undefined
    const { generation, evidence } = generationOf(release)
    return describe(generation, evidence)
  },

  async assume(_boot, release) {
    const generation = generations.find((candidate) => candidate === release)
    if (generation === undefined) throw new Error(`no generation ${release} of HypriotOS`)
    return describe(generation, ['given by hand'])
  },

  async settle(state, image, medium) {
    const { node, facts } = state
    const { os, boot } = image
    // The Wi-Fi chip shares its lines with the serial port on these kernels.
    const serial: Partial<Settings> =
      facts.wifi === undefined ? {} : { config: [{ filter: 'all', key: 'enable_uart', value: '0' }] }
    if (os.release === '1.0') {
      return joinSettings(serial, scriptedSettings(state, os), await deviceInit(facts, boot))
    }
    const { wired, radio } = splitNetwork(facts)
    const isByCloudInit = os.release === '1.12.1' && medium === 'card'
    return joinSettings(
      serial,
      hostKeySettings(facts),
      radioSettings(facts),
      await clock(image),
      scriptLocale(facts),
      isByCloudInit
        ? await wiredByCloudInit(wired, boot, node.name)
        : scriptNetwork({ network: wired }, node.name),
      ...radio.map(radioByIfupdown),
      await seed(state, image),
    )
  },

  start: (os, state) =>
    os.trigger === 'cloud-init' ? startByCloudInit(state, {}, { byCmdline: false }) : startByInitShell(os),

  served: {
    ...debianRoot,
    systemFiles: [...debianRoot.systemFiles, 'device-init.yaml', CLOCK_FILE],
  },
}

/** What the image's own says is lost, unless it is said anew, by another file, or by a person's own. */
async function seed(state: NodeState, { boot, os }: SystemImage): Promise<Partial<Settings>> {
  const facts = await seedFacts(state, boot)
  const { runcmd: _, ...said } = facts
  const { locale = {} } = state.facts
  const settled = [...Object.keys(said), 'users', 'chpasswd', 'ssh_pwauth', ...Object.keys(locale)]
  const lost = state.given.userData === undefined ? await replacedUserData(boot, settled) : {}
  return { ...lost, seed: userData(state, facts, os) }
}

async function seedFacts({ facts, given }: NodeState, boot: BootFiles): Promise<TreeMap> {
  const { hostname, user, ssh } = facts
  const tree: TreeMap = { package_update: false, package_upgrade: false }
  if (hostname !== undefined) Object.assign(tree, { hostname, manage_etc_hosts: 'localhost' })
  if (user !== undefined) tree.users = [seedUser(user), ...(user.others ?? []).map(cloudFurther)]
  // A user-data that a person brings along has accounts of its own.
  else if (given.userData?.users === undefined) {
    const { users, chpasswd } = await stockSeed(boot)
    if (users !== undefined) tree.users = users
    if (chpasswd !== undefined) tree.chpasswd = chpasswd
  }
  if (ssh !== undefined) {
    tree.ssh_pwauth = acceptsPasswords(facts)
    tree.runcmd = [['systemctl', 'enable', 'ssh']]
  }
  return tree
}

/** `docker` is a group of the image; `users:` gets none by itself. */
const seedUser = (user: User): TreeMap => ({
  name: user.name,
  groups: 'users,adm,sudo,docker,video,input',
  shell: '/bin/bash',
  ...cloudLogin(user),
})

interface RadioProfile extends NetworkProfile {
  wifi: NonNullable<NetworkProfile['wifi']>
}

function splitNetwork(facts: SystemFacts): { wired: NodeInterface[]; radio: RadioProfile[] } {
  const radio = profilesOf(facts).flatMap((profile) =>
    profile.wifi === undefined ? [] : [{ ...profile, wifi: profile.wifi }],
  )
  const wired = (facts.network ?? []).filter((port) => !radio.some(({ name }) => name === port.name))
  return { wired, radio }
}

/** Since 1.12.1: ifupdown, by cloud-init. */
function wiredByCloudInit(wired: NodeInterface[], boot: BootFiles, node: string): Promise<Partial<Settings>> {
  const stock = formatYaml(networkConfigV1([{ name: 'eth0', dns: [] }]))
  const tree = wired.length === 0 ? undefined : networkConfigV1(profilesOf({ network: wired }))
  return networkConfig(boot, node, tree, stock)
}

/** ifupdown has the radio on every version; network-config version 1 cannot say a Wi-Fi network. */
function radioByIfupdown(profile: RadioProfile): Partial<Settings> {
  const secret = 'network/wpa_supplicant.conf'
  const root = { owner: 'root', group: 'root' }
  return {
    secretFiles: new Map([[secret, formatWpaSupplicant(profile)]]),
    rootFiles: [
      {
        path: `/etc/network/interfaces.d/${profile.name}`,
        content: bytesOf(formatInterfacesD(profile)),
        mode: '0644',
        ...root,
      },
      { path: '/etc/wpa_supplicant/wpa_supplicant.conf', secret, mode: '0600', ...root },
    ],
  }
}

/** Never back; and only where the image looks for it. */
async function clock({ boot, pastDay }: SystemImage): Promise<Partial<Settings>> {
  const stock = (await readText(boot, CLOCK_FILE))?.trim()
  if (stock === undefined || pastDay === '') return {}
  const earliest = `${pastDay} 00:00:00`
  const isOlder = stock !== '' && stock < earliest
  return {
    seed: new Map([[CLOCK_FILE, bytesOf(`${stock > earliest ? stock : earliest}\n`)]]),
    warnings: isOlder ? [`the image's own ${CLOCK_FILE} is replaced (${stock} → ${earliest})`] : [],
  }
}

/** The host name only: device-init sets it again at every boot. */
async function deviceInit({ hostname }: SystemFacts, boot: BootFiles): Promise<Partial<Settings>> {
  if (hostname === undefined) return {}
  const text = await readText(boot, 'device-init.yaml')
  const tree = text === undefined ? {} : parseYamlMap(text, 'device-init.yaml')
  return { seed: new Map([['device-init.yaml', bytesOf(formatYaml({ ...tree, hostname }))]]) }
}
