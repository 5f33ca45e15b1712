/**
 * Facts as cloud-config: user-data and network-config of Raspberry Pi OS
 * Trixie and other systems with a current cloud-init.
 *
 * Traps this avoids: `users:` without the default user gives an account without
 * groups (so `user:`); `manage_etc_hosts: true` rewrites /etc/hosts at each
 * boot (so `localhost`); `enable_ssh` does not exist and is ignored (so
 * runcmd); the private host key would stay readable (so it is not here at all).
 *
 * Source: cloud-init documentation, "Module reference".
 */
import { type BootFiles, bytesOf, readText } from '../boot/boot-files.ts'
import {
  formatArchive,
  formatUserData,
  formatYaml,
  mergeTrees,
  parseUserData,
  parseYamlMap,
  type TreeMap,
} from '../boot/cloud-init.ts'
import { INSTALL } from '../boot/payload-paths.ts'
import { runcmdScript, runcmdWith } from '../boot/runcmd.ts'
import type { FurtherUser, User } from '../cluster/node.ts'
import { FormatError, UsageError } from '../errors.ts'
import type { NodeState } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import { acceptsPasswords } from './scripted.ts'
import type { Settings } from './settings.ts'

const writtenByUs = 'Written by piimage'

/** A node's facts as cloud-config. */
export function cloudFacts({ node, facts }: NodeState): TreeMap {
  const { hostname, user, ssh, locale } = facts
  const tree: TreeMap = { manage_resolv_conf: false }
  if (hostname !== undefined) {
    tree.hostname = hostname
    const domain = node.interfaces[0]?.domain
    if (domain !== undefined) tree.fqdn = `${hostname}.${domain}`
    tree.manage_etc_hosts = 'localhost'
  }
  if (user !== undefined) {
    tree.user = cloudUser(user)
    if (user.others !== undefined) tree.users = ['default', ...user.others.map(cloudFurther)]
  }
  if (locale?.timezone !== undefined) tree.timezone = locale.timezone
  if (locale?.locale !== undefined) tree.locale = locale.locale
  if (locale?.keymap !== undefined) {
    tree.keyboard = { layout: locale.keymap, model: 'pc105' }
    if (locale.keymapVariant !== undefined) tree.keyboard.variant = locale.keymapVariant
  }
  if (ssh !== undefined) {
    tree.ssh_pwauth = acceptsPasswords(facts)
    tree.runcmd = [['systemctl', 'enable', '--now', 'ssh']]
  }
  return tree
}

const cloudUser = (user: User): TreeMap => ({
  name: user.name,
  shell: '/bin/bash',
  ...cloudLogin(user),
})

/** An account beside the image's own. */
export const cloudFurther = (user: FurtherUser): TreeMap => {
  const { sudo, ...login } = cloudLogin(user)
  return {
    name: user.name,
    ...(user.groups.length > 0 && { groups: user.groups.join(',') }),
    shell: user.shell,
    ...login,
    ...(user.sudo && { sudo }),
  }
}

/** What is said of an account in `user:` and in `users:` alike. */
export function cloudLogin({
  passwordHash,
  sudoPassword,
  sshKeys,
}: Pick<User, 'passwordHash' | 'sudoPassword' | 'sshKeys'>): TreeMap {
  const tree: TreeMap = { lock_passwd: passwordHash === undefined }
  if (passwordHash !== undefined) tree.passwd = passwordHash.reveal()
  // Without this key the image's default user passes on its own rule, which asks for no password.
  tree.sudo = sudoPassword ? 'ALL=(ALL:ALL) ALL' : 'ALL=(ALL:ALL) NOPASSWD:ALL'
  if (sshKeys.length > 0) tree.ssh_authorized_keys = [...sshKeys]
  return tree
}

/**
 * What says it all to cloud-init: user-data, or in a published image vendor-data.
 *
 * @param settled keys of the image's own user-data that the family has seen to
 */
export async function seedData(
  state: NodeState,
  facts: TreeMap,
  os: DetectedOs,
  boot: BootFiles,
  settled: readonly string[] = [],
): Promise<Partial<Settings>> {
  if (state.published) return { seed: vendorData(state, facts, os) }
  return { ...(await replacedUserData(boot, settled)), seed: userData(state, facts, os) }
}

/**
 * user-data: the facts, what overlays say over them, what a person brought
 * along beneath; and in runcmd what starts the payload, whatever else is there.
 *
 * @throws {UsageError} two that contradict each other, or a runcmd that would not run
 */
export function userData(state: NodeState, facts: TreeMap, os: DetectedOs): Settings['seed'] {
  const tree = wholeConfig(state, facts, os)
  checkModules(tree, userModules)
  return new Map([['user-data', bytesOf(formatUserData(tree, `${writtenByUs} for node ${state.node.name}`))]])
}

/**
 * vendor-data: the same where user-data is for whoever writes the image. What that says goes before it,
 * key by key, so what starts the payload is a script and no key.
 *
 * Source: cloud-init documentation, "Vendor-data", "NoCloud", "Cloud config archive".
 */
function vendorData(state: NodeState, facts: TreeMap, os: DetectedOs): Settings['seed'] {
  if ([...state.bootFiles.keys()].some((path) => path.toLowerCase() === 'vendor-data'))
    throw new UsageError(`node ${state.node.name}: vendor-data starts the first boot of a published image`, {
      hint: 'Take the file vendor-data out of its overlays: cloud-init: says the same.',
    })
  const { runcmd, ...config } = wholeConfig(state, facts, os)
  checkModules(config, vendorModules)
  const comment = `${writtenByUs} for node ${state.node.name}`
  const parts = [
    { type: 'text/cloud-config', content: formatUserData(config, comment) },
    { type: 'text/x-shellscript', content: `#!/bin/sh\n${runcmdScript(runcmd)}` },
  ]
  return new Map([['vendor-data', bytesOf(formatArchive(parts, comment))]])
}

function wholeConfig({ cloudConfig, given }: NodeState, facts: TreeMap, os: DetectedOs): TreeMap {
  const beneath = given.userData ?? {}
  const script = [beneath, ...cloudConfig].map(({ runcmd }) => runcmdScript(runcmd)).join('')
  const merged = cloudConfig.map(withoutRuncmd).reduce((tree, fragment) => mergeTrees(tree, fragment), facts)
  const own = Array.isArray(facts.runcmd) ? facts.runcmd : []
  const runcmd = runcmdWith(own, script, `${os.bootMount}/${INSTALL}`)
  return mergeTrees(withoutRuncmd(beneath), { ...merged, runcmd })
}

const withoutRuncmd = ({ runcmd: _, ...rest }: TreeMap): TreeMap => rest

/** Which modules of cloud-init run, and the one of them that ours needs. */
const userModules = { cloud_config_modules: 'runcmd', cloud_final_modules: 'scripts_user' }
const vendorModules = { cloud_final_modules: 'scripts_vendor' }

/** A list of a person's own takes the place of the image's. */
function checkModules(tree: TreeMap, modules: Readonly<Record<string, string>>): void {
  for (const [key, needed] of Object.entries(modules)) {
    const list = tree[key]
    if (list === undefined) continue
    const names = (Array.isArray(list) ? list : []).map((entry) =>
      String(Array.isArray(entry) ? entry[0] : entry),
    )
    if (names.some((name) => name.replaceAll('-', '_') === needed)) continue
    throw new UsageError(`user-data: ${key} has no ${needed}, so the first boot would never be started`, {
      hint: `Add ${needed} to the list, or leave ${key} out.`,
    })
  }
}

/**
 * network-config. Without settings one that an earlier plan wrote must not
 * stay: it would give this node the other one's address.
 *
 * @param stock what the image says by itself, as YAML or a comment
 */
export async function networkConfig(
  boot: BootFiles,
  node: string,
  tree: TreeMap | undefined,
  stock: string,
): Promise<Partial<Settings>> {
  const earlier = await readText(boot, 'network-config')
  if (tree === undefined && !earlier?.includes(writtenByUs)) return {}
  const text = tree === undefined ? stock : formatYaml(tree)
  const comment =
    tree === undefined ? `${writtenByUs}: as the image does by itself` : `${writtenByUs} for node ${node}`
  return { seed: new Map([['network-config', bytesOf(`# ${comment}\n${text}`)]]) }
}

/**
 * What the image itself says in its user-data is lost; say so.
 *
 * @param settled keys that the family has seen to
 */
export async function replacedUserData(
  boot: BootFiles,
  settled: readonly string[],
): Promise<Partial<Settings>> {
  const lost = Object.keys(await foreignUserData(boot)).filter((key) => !settled.includes(key))
  if (lost.length === 0) return {}
  return { warnings: [`the image's own user-data is replaced (${lost.join(', ')})`] }
}

/** Settings in the partition's user-data that are not from an earlier plan. */
export async function foreignUserData(boot: BootFiles): Promise<TreeMap> {
  const text = await readText(boot, 'user-data')
  if (text === undefined || text.trim() === '' || text.includes(writtenByUs)) return {}
  try {
    return parseUserData(text, 'user-data')
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { 'something that is not cloud-config': true }
  }
}

/** The user-data of the image, or of an earlier plan that kept what the image's says of accounts. */
export async function stockSeed(boot: BootFiles): Promise<TreeMap> {
  const foreign = await foreignUserData(boot)
  if (Object.keys(foreign).length > 0) return foreign
  const text = await readText(boot, 'user-data')
  return text === undefined ? {} : parseYamlMap(text, 'user-data')
}
