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

import { bytesOf, readText } from '../boot/boot-files.ts'
import { formatUserData, formatYaml, mergeTrees, parseUserData, type TreeMap } from '../boot/cloud-init.ts'
import { INSTALL } from '../boot/payload-paths.ts'
import type { Node, User } from '../cluster/node.ts'
import { type BootDraft, reveal } from '../customise/boot-draft.ts'
import { FormatError } from '../errors.ts'
import type { SystemFacts } from '../node/edits.ts'
import type { DetectedOs } from '../node/system.ts'
import { acceptsPasswords } from './scripted-facts.ts'

/** Merge the facts into the draft's user-data. */
export function cloudFacts(facts: SystemFacts, draft: BootDraft, node: Node): void {
  const { hostname, user, ssh, locale } = facts
  const tree: TreeMap = { manage_resolv_conf: false }
  if (hostname !== undefined) {
    tree.hostname = hostname
    const domain = node.interfaces[0]?.domain
    if (domain !== undefined) tree.fqdn = `${hostname}.${domain}`
    tree.manage_etc_hosts = 'localhost'
  }
  if (user !== undefined) tree.user = cloudUser(user, draft)
  if (locale?.timezone !== undefined) tree.timezone = locale.timezone
  if (locale?.locale !== undefined) tree.locale = locale.locale
  if (locale?.keymap !== undefined) tree.keyboard = { layout: locale.keymap, model: 'pc105' }
  if (ssh !== undefined) {
    tree.ssh_pwauth = acceptsPasswords(facts)
    tree.runcmd = [['systemctl', 'enable', '--now', 'ssh']]
  }
  draft.userData = mergeTrees(draft.userData, tree)
}

function cloudUser(user: User, draft: BootDraft): TreeMap {
  return {
    name: user.name,
    shell: '/bin/bash',
    lock_passwd: user.passwordHash === undefined,
    ...(user.passwordHash === undefined ? {} : { passwd: reveal(draft, user.passwordHash) }),
    // Without this key the image's default user passes on its own rule, which asks for no password.
    sudo: user.sudoPassword ? 'ALL=(ALL:ALL) ALL' : 'ALL=(ALL:ALL) NOPASSWD:ALL',
    ...(user.sshKeys.length === 0 ? {} : { ssh_authorized_keys: [...user.sshKeys] }),
  }
}

const writtenByUs = 'Written by piimage'

/**
 * Write network-config. Without settings one that an earlier plan wrote must not
 * stay: it would give this node the other one's address.
 *
 * @param stock what the image says by itself, as YAML or a comment
 */
export async function writeNetworkConfig(
  draft: BootDraft,
  node: Node,
  tree: TreeMap | undefined,
  stock: string,
): Promise<void> {
  const earlier = await readText(draft.boot, 'network-config')
  if (tree === undefined && !earlier?.includes(writtenByUs)) return
  const text = tree === undefined ? stock : formatYaml(tree)
  const comment =
    tree === undefined
      ? `${writtenByUs}: as the image does by itself`
      : `${writtenByUs} for node ${node.name}`
  draft.files.set('network-config', bytesOf(`# ${comment}\n${text}`))
}

/** Write user-data: all that was merged, and as the last of runcmd what starts the payload. */
export async function finishUserData(draft: BootDraft, os: DetectedOs, node: Node): Promise<void> {
  const lost = Object.keys(await foreignUserData(draft))
  if (lost.length > 0) draft.warnings.push(`the image's own user-data is replaced (${lost.join(', ')})`)
  writeUserData(draft, os, node)
}

export function writeUserData(draft: BootDraft, os: DetectedOs, node: Node): void {
  const runcmd = Array.isArray(draft.userData.runcmd) ? draft.userData.runcmd : []
  const tree = { ...draft.userData, runcmd: [...runcmd, ['sh', `${os.bootMount}/${INSTALL}`]] }
  draft.files.set('user-data', bytesOf(formatUserData(tree, `${writtenByUs} for node ${node.name}`)))
}

/** Settings in the partition's user-data that are not from an earlier plan. */
export async function foreignUserData(draft: BootDraft): Promise<TreeMap> {
  const text = await readText(draft.boot, 'user-data')
  if (text === undefined || text.trim() === '' || text.includes(writtenByUs)) return {}
  try {
    return parseUserData(text, 'user-data')
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { 'something that is no cloud-config': true }
  }
}
