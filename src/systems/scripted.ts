/**
 * Facts by early steps: for systems that no cloud-init sets up.
 *
 * The scripts in firstboot/steps/ take their values from node.env, and secrets
 * from the files beside it.
 */
import { bytesOf } from '../boot/boot-files.ts'
import type { FurtherUser } from '../cluster/node.ts'
import type { NodeState, SystemFacts } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import { networkCandidates, profilesOf } from './profiles.ts'
import { joinSettings, type Settings } from './settings.ts'

/** Ask for each step that has a fact to set; see ./first-boot.ts for the variables they read. */
export function scriptedSettings({ node, facts }: NodeState, os: DetectedOs): Settings {
  return joinSettings(
    hostKeySettings(facts),
    radioSettings(facts),
    facts.hostname === undefined ? {} : { early: ['hostname'] },
    scriptUser(facts),
    scriptSsh(facts, os),
    scriptLocale(facts),
    scriptNetwork(facts, node.name),
  )
}

export const hostKeySettings = ({ hostKey }: SystemFacts): Partial<Settings> =>
  hostKey === undefined ? {} : { early: ['host-keys'] }

/** Images keep Wi-Fi blocked until somebody says in which country they are. */
export const radioSettings = ({ wifi }: SystemFacts): Partial<Settings> =>
  wifi === undefined
    ? {}
    : { early: ['wifi'], kernel: [{ set: { 'cfg80211.ieee80211_regdom': wifi.country } }] }

export function scriptUser({ user }: SystemFacts): Partial<Settings> {
  if (user === undefined) return {}
  const { others = [] } = user
  const accounts = [{ of: '', ...user }, ...others.map((other) => ({ of: `.${other.name}`, ...other }))]
  return {
    early: ['user'],
    secretFiles: new Map(
      accounts.flatMap(({ of, passwordHash }) =>
        passwordHash === undefined ? [] : [[`password-hash${of}`, passwordHash]],
      ),
    ),
    payload: new Map([
      ...accounts.flatMap(({ of, sshKeys }): [string, Uint8Array][] =>
        sshKeys.length === 0
          ? []
          : [[`keys/authorized_keys${of}`, bytesOf(sshKeys.map((key) => `${key}\n`).join(''))]],
      ),
      ...(others.length === 0 ? [] : [['users', bytesOf(others.map(furtherLine).join(''))] as const]),
    ]),
  }
}

/** A line of the file `users`: name, shell, groups or `-`, and what sudo asks. */
const furtherLine = ({ name, shell, groups, sudo, sudoPassword }: FurtherUser): string =>
  `${name} ${shell} ${groups.join(',') || '-'} ${sudo ? (sudoPassword ? 'password' : 'nothing') : 'no'}\n`

function scriptSsh(facts: SystemFacts, os: DetectedOs): Partial<Settings> {
  const { ssh, user } = facts
  if (ssh === undefined) return {}
  const early = ['ssh'] as const
  // The image's own switch: it works even if the payload could not run.
  const seed = new Map([['ssh', new Uint8Array()]])
  const answer = acceptsPasswords(facts) ? 'yes' : 'no'
  if (os.traits.kernel >= 5) {
    const content = bytesOf(`PasswordAuthentication ${answer}\n`)
    const path = '/etc/ssh/sshd_config.d/10-piimage.conf'
    return { early, seed, rootFiles: [{ path, content, mode: '0644', owner: 'root', group: 'root' }] }
  }
  if (answer === 'yes' || user?.passwordHash === undefined) return { early, seed }
  return {
    early,
    seed,
    warnings: [
      `the ssh server of ${os.family} ${os.release} reads no sshd_config.d: it goes on taking the password of ${user.name}`,
    ],
  }
}

export const scriptLocale = ({ locale }: SystemFacts): Partial<Settings> =>
  Object.values(locale ?? {}).some((value) => value !== undefined) ? { early: ['locale'] } : {}

/** A candidate for each network daemon; the step takes those of the one that the image runs. */
export function scriptNetwork(facts: Pick<SystemFacts, 'network' | 'wifi'>, node: string): Partial<Settings> {
  const profiles = profilesOf(facts)
  return profiles.length === 0 ? {} : { early: ['network'], ...networkCandidates(profiles, node) }
}

/** Whether ssh takes passwords: as asked, else only from a user who has no key. */
export const acceptsPasswords = ({ ssh, user }: SystemFacts): boolean =>
  ssh?.passwordLogin ?? (user?.passwordHash !== undefined && user.sshKeys.length === 0)
