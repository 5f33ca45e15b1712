/** Whether anybody will be able to log in to a node, as far as its plan says. */
import type { Node } from '../cluster/node.ts'
import type { BootPlan } from '../customise/plan-boot.ts'
import type { GivenFiles } from '../node/state.ts'
import { withoutComment } from '../secrets/authorized-keys.ts'

/** Of the demo and of stand-ins: its private half was thrown away. */
export const NOBODYS_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe nobody'

/** Systems whose images bring no account, and have ssh off: Raspberry Pi OS since April 2022. */
const withoutAccount = new Set(['raspios'])

/** @returns why nobody can, in a sentence; undefined: somebody can, or it can't be told */
export function whyNobodyLogsIn(
  { name, user, overlays }: Node,
  { os }: Pick<BootPlan, 'os'>,
  given: GivenFiles | undefined,
): string | undefined {
  // A user-data that a person brings along has accounts of its own.
  if (given?.userData !== undefined) return undefined
  const nobody = `nobody can log in to ${name}:`
  const isBare = withoutAccount.has(os.family)
  if (user === undefined)
    return isBare ? `${nobody} it has no account (user: in the cluster file, or --user)` : undefined
  if (user.passwordHash !== undefined) return undefined
  if (user.sshKeys.length === 0) return `${nobody} ${user.name} has no key and no password`
  if (user.sshKeys.every((key) => withoutComment(key) === withoutComment(NOBODYS_KEY)))
    return `${nobody} the only key of ${user.name} is the demo's, and its private half was thrown away`
  if (isBare && !overlays.some((overlay) => overlay.name === 'ssh'))
    return `${nobody} ssh is off (overlays: [ssh]), and ${user.name} has no password to log in with at the board`
  return undefined
}

/**
 * What whoever publishes images has to hear: those of Raspberry Pi OS have no account until somebody gives them one.
 *
 * @param list where Raspberry Pi Imager finds them
 * @returns a sentence each
 */
export function accountsToCome(
  released: readonly Pick<BootPlan, 'node' | 'os' | 'imager'>[],
  list: string,
): string[] {
  const bare = released.filter(({ os }) => withoutAccount.has(os.family))
  const named = (plans: typeof bare) => plans.map(({ node }) => node).join(', ')
  const asks = 'otherwise the system asks for it at its first boot, on its screen'
  const open = bare.filter(({ imager }) => imager !== 'none')
  const closed = bare.filter(({ imager }) => imager === 'none')
  return [
    open.length > 0 &&
      `nobody can log in to ${named(open)} yet: set user, key and Wi-Fi in Raspberry Pi Imager (rpi-imager --repo ${list}) or with piimage customise; ${asks}`,
    closed.length > 0 &&
      `nobody can log in to ${named(closed)} yet, and Raspberry Pi Imager can't set a user in this system: piimage customise does; ${asks}`,
  ].filter((sentence) => sentence !== false)
}
