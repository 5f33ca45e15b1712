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
import { formatYaml, mergeTrees, parseYamlMap, type TreeMap } from '../boot/cloud-init.ts'
import type { Node, NodeInterface, User } from '../cluster/node.ts'
import { type BootDraft, reveal } from '../customise/boot-draft.ts'
import type { SystemFacts } from '../node/edits.ts'
import type { DetectedOs } from '../node/system.ts'
import { foreignUserData, writeNetworkConfig, writeUserData } from './cloud-facts.ts'
import type { OsFamily } from './family.ts'
import { addInitScript, withInitShell } from './init-shell.ts'
import { formatInterfacesD } from './network/interfaces-d.ts'
import { networkConfigV1 } from './network/network-config.ts'
import type { NetworkProfile } from './network/profile.ts'
import { formatWpaSupplicant } from './network/wpa-supplicant.ts'
import { profilesOf } from './profiles.ts'
import { acceptsPasswords, radioFacts, scriptFacts, scriptLocale, scriptNetwork } from './scripted-facts.ts'

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

  async express(facts, draft, os, node) {
    if (facts.hostKey !== undefined) draft.early.add('host-keys')
    radioFacts(facts, draft)
    // The Wi-Fi chip shares its lines with the serial port on these kernels.
    if (facts.wifi !== undefined) draft.config.push({ filter: 'all', key: 'enable_uart', value: '0' })
    if (os.release === '1.0') {
      scriptFacts(facts, draft, os, node)
      await setDeviceInit(facts, draft)
      return
    }
    await seedFacts(facts, draft)
    await setClock(draft)
    scriptLocale(facts, draft)
    const { wired, radio } = splitNetwork(facts)
    if (os.release === '1.12.1') await wiredByCloudInit(wired, draft, node)
    else scriptNetwork({ network: wired }, draft, node)
    for (const profile of radio) radioByIfupdown(profile, draft)
  },

  async finish(draft, os, node) {
    if (os.release === '1.0') addInitScript(draft, os)
    else writeUserData(draft, os, node)
  },

  start(draft, os, identity) {
    // The seed is found by a link in the image; a ds= on the command line would hide it.
    if (os.trigger === 'cloud-init')
      draft.files.set('meta-data', bytesOf(formatYaml({ 'instance-id': identity })))
    else draft.cmdline = withInitShell(draft, os)
  },
}

async function seedFacts(facts: SystemFacts, draft: BootDraft): Promise<void> {
  const { hostname, user, ssh } = facts
  const tree: TreeMap = { package_update: false, package_upgrade: false }
  if (hostname !== undefined) Object.assign(tree, { hostname, manage_etc_hosts: 'localhost' })
  if (user !== undefined) tree.users = [seedUser(user, draft)]
  else {
    const { users, chpasswd } = await stockSeed(draft)
    if (users !== undefined) tree.users = users
    if (chpasswd !== undefined) tree.chpasswd = chpasswd
  }
  if (ssh !== undefined) {
    tree.ssh_pwauth = acceptsPasswords(facts)
    tree.runcmd = [['systemctl', 'enable', 'ssh']]
  }
  draft.userData = mergeTrees(draft.userData, tree)
}

/** Of the image, or of an earlier plan that kept the image's users. */
async function stockSeed(draft: BootDraft): Promise<TreeMap> {
  const foreign = await foreignUserData(draft)
  if (Object.keys(foreign).length > 0) return foreign
  const text = await readText(draft.boot, 'user-data')
  return text === undefined ? {} : parseYamlMap(text, 'user-data')
}

/** `docker` is a group of the image; `users:` gets none by itself. */
const seedUser = (user: User, draft: BootDraft): TreeMap => ({
  name: user.name,
  groups: 'users,adm,sudo,docker,video,input',
  shell: '/bin/bash',
  lock_passwd: user.passwordHash === undefined,
  ...(user.passwordHash === undefined ? {} : { passwd: reveal(draft, user.passwordHash) }),
  sudo: user.sudoPassword ? 'ALL=(ALL:ALL) ALL' : 'ALL=(ALL:ALL) NOPASSWD:ALL',
  ...(user.sshKeys.length === 0 ? {} : { ssh_authorized_keys: [...user.sshKeys] }),
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
async function wiredByCloudInit(wired: NodeInterface[], draft: BootDraft, node: Node): Promise<void> {
  const stock = formatYaml(networkConfigV1([{ name: 'eth0', dns: [] }]))
  const tree = wired.length === 0 ? undefined : networkConfigV1(profilesOf({ network: wired }))
  await writeNetworkConfig(draft, node, tree, stock)
}

/** ifupdown has the radio on every version; network-config version 1 cannot say a Wi-Fi network. */
function radioByIfupdown(profile: RadioProfile, draft: BootDraft): void {
  const { name, wifi } = profile
  if (wifi.psk !== undefined) reveal(draft, wifi.psk)
  draft.secretFiles.set('network/wpa_supplicant.conf', formatWpaSupplicant(profile))
  const root = { owner: 'root', group: 'root' }
  draft.rootFiles.push(
    {
      path: `/etc/network/interfaces.d/${name}`,
      content: bytesOf(formatInterfacesD(profile)),
      mode: '0644',
      ...root,
    },
    {
      path: '/etc/wpa_supplicant/wpa_supplicant.conf',
      secret: 'network/wpa_supplicant.conf',
      mode: '0600',
      ...root,
    },
  )
}

/** Never back; and only where the image looks for it. */
async function setClock({ boot, files, pastDay }: BootDraft): Promise<void> {
  const stock = (await readText(boot, CLOCK_FILE))?.trim()
  if (stock === undefined || pastDay === '') return
  const earliest = `${pastDay} 00:00:00`
  files.set(CLOCK_FILE, bytesOf(`${stock > earliest ? stock : earliest}\n`))
}

/** The host name only: device-init sets it again at every boot. */
async function setDeviceInit({ hostname }: SystemFacts, draft: BootDraft): Promise<void> {
  if (hostname === undefined) return
  const text = await readText(draft.boot, 'device-init.yaml')
  const tree = text === undefined ? {} : parseYamlMap(text, 'device-init.yaml')
  draft.files.set('device-init.yaml', bytesOf(formatYaml({ ...tree, hostname })))
}
