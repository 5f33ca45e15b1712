/**
 * Facts by early steps: for systems that no cloud-init sets up.
 *
 * The scripts in firstboot/steps/ take their values from node.env, and secrets
 * from the files beside it.
 */
import type { Node } from '../cluster/node.ts'
import { type BootDraft, bytesOf } from './boot-draft.ts'
import type { SystemFacts } from './edits.ts'
import { addNetworkCandidates, profilesOf } from './profiles.ts'

/** Ask for each step that has a fact to set; see ./payload.ts for the variables they read. */
export function scriptFacts(facts: SystemFacts, draft: BootDraft, node: Node): void {
  const { hostname, user, ssh, locale } = facts
  if (hostname !== undefined) draft.early.add('hostname')
  if (user !== undefined) {
    draft.early.add('user')
    if (user.passwordHash !== undefined) draft.secretFiles.set('password-hash', user.passwordHash)
    if (user.sshKeys.length > 0) {
      draft.payload.set('keys/authorized_keys', bytesOf(user.sshKeys.map((key) => `${key}\n`).join('')))
    }
  }
  if (ssh !== undefined) draft.early.add('ssh')
  if (locale !== undefined && Object.values(locale).some((value) => value !== undefined))
    draft.early.add('locale')
  const profiles = profilesOf(facts)
  if (profiles.length > 0) {
    draft.early.add('network')
    addNetworkCandidates(draft, profiles, node.name)
  }
}

/** Whether ssh takes passwords: as asked, else only from a user who has no key. */
export const acceptsPasswords = ({ ssh, user }: SystemFacts): boolean =>
  ssh?.passwordLogin ?? (user?.passwordHash !== undefined && user.sshKeys.length === 0)
