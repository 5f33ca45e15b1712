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

import type { Node, User } from '../cluster/node.ts'
import { type BootDraft, reveal } from './boot-draft.ts'
import { mergeTrees, type TreeMap } from './cloud-init.ts'
import type { SystemFacts } from './edits.ts'
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
