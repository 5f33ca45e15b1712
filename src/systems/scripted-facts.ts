/**
 * Facts by early steps: for systems that no cloud-init sets up.
 *
 * The scripts in firstboot/steps/ take their values from node.env, and secrets
 * from the files beside it.
 */

import { bytesOf } from '../boot/boot-files.ts'
import type { Node } from '../cluster/node.ts'
import type { BootDraft } from '../customise/boot-draft.ts'
import type { SystemFacts } from '../node/edits.ts'
import type { DetectedOs } from '../node/system.ts'
import { addNetworkCandidates, profilesOf } from './profiles.ts'

/** Ask for each step that has a fact to set; see ./payload.ts for the variables they read. */
export function scriptFacts(facts: SystemFacts, draft: BootDraft, os: DetectedOs, node: Node): void {
  if (facts.hostname !== undefined) draft.early.add('hostname')
  scriptUser(facts, draft)
  scriptSsh(facts, draft, os)
  scriptLocale(facts, draft)
  scriptNetwork(facts, draft, node)
}

function scriptUser({ user }: SystemFacts, draft: BootDraft): void {
  if (user === undefined) return
  draft.early.add('user')
  if (user.passwordHash !== undefined) draft.secretFiles.set('password-hash', user.passwordHash)
  if (user.sshKeys.length > 0) {
    draft.payload.set('keys/authorized_keys', bytesOf(user.sshKeys.map((key) => `${key}\n`).join('')))
  }
}

function scriptSsh(facts: SystemFacts, draft: BootDraft, os: DetectedOs): void {
  const { ssh, user } = facts
  if (ssh === undefined) return
  draft.early.add('ssh')
  // The image's own switch: it works even if the payload could not run.
  draft.files.set('ssh', new Uint8Array())
  const answer = acceptsPasswords(facts) ? 'yes' : 'no'
  if (os.traits.kernel >= 5) {
    const content = bytesOf(`PasswordAuthentication ${answer}\n`)
    const path = '/etc/ssh/sshd_config.d/10-piimage.conf'
    draft.rootFiles.push({ path, content, mode: '0644', owner: 'root', group: 'root' })
  } else if (answer === 'no' && user?.passwordHash !== undefined) {
    draft.warnings.push(
      `the ssh server of ${os.family} ${os.release} reads no sshd_config.d: it goes on taking the password of ${user.name}`,
    )
  }
}

export function scriptLocale({ locale }: SystemFacts, draft: BootDraft): void {
  if (Object.values(locale ?? {}).some((value) => value !== undefined)) draft.early.add('locale')
}

export function scriptNetwork(facts: SystemFacts, draft: BootDraft, node: Node): void {
  const profiles = profilesOf(facts)
  if (profiles.length === 0) return
  draft.early.add('network')
  addNetworkCandidates(draft, profiles, node.name)
}

/** Images keep Wi-Fi blocked until somebody says in which country they are. */
export function radioFacts({ wifi }: SystemFacts, draft: BootDraft): void {
  if (wifi === undefined) return
  draft.early.add('wifi')
  draft.cmdlineEdits.push({ set: { 'cfg80211.ieee80211_regdom': wifi.country } })
}

/** Whether ssh takes passwords: as asked, else only from a user who has no key. */
export const acceptsPasswords = ({ ssh, user }: SystemFacts): boolean =>
  ssh?.passwordLogin ?? (user?.passwordHash !== undefined && user.sshKeys.length === 0)
