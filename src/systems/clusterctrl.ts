import type { Node, NodeInterface } from '../cluster/node.ts'
import type { DetectedOs } from '../node/system.ts'
import type { OsFamily } from './family.ts'
import { startByRelease } from './raspios.ts'
import { concludeRelease, type Release, readSigns, releaseNamed, releases } from './raspios-release.ts'
import { debianRoot } from './root/debian.ts'
import { scriptedSettings } from './scripted.ts'
import { joinSettings } from './settings.ts'

const isReconfig = (token: string): boolean => /^init=(?:\/usr)?\/sbin\/reconfig-clusterctrl$/.test(token)
const isRole = (token: string | undefined): boolean =>
  token !== undefined && /^(?:c|cnat|cbridge|p\d{1,3})$/.test(token)

/** No ClusterCTRL image is built on Trixie. */
const known = releases.filter(({ name }) => name !== 'trixie')

const describe = (release: Release, evidence: string[]): DetectedOs => ({
  family: 'clusterctrl',
  release: release.name,
  evidence,
  traits: { cloudInit: false, kernel: release.kernel },
  bootMount: release.bootMount,
  trigger: release.trigger,
})

export const clusterctrl: OsFamily = {
  name: 'clusterctrl',
  releases: known.map(({ name }) => name),

  /** A card that has booted shows no role any more; an earlier plan noted what it was. */
  async recognise(boot, noted) {
    const signs = await readSigns(boot)
    const at = signs.tokens.findIndex(isReconfig)
    if (at !== -1) {
      const { release, evidence } = concludeRelease({ ...signs, seed: false })
      return describe(release, [`cmdline.txt: ${signs.tokens.slice(at, at + 2).join(' ')}`, ...evidence])
    }
    const release = known.find(({ name }) => name === noted)
    return release === undefined ? undefined : describe(release, ['an earlier plan for this card'])
  },

  async assume(_boot, release) {
    return describe(releaseNamed(release), ['given by hand'])
  },

  async settle(state, { os, kernel }, medium) {
    const { node, facts } = state
    const network = facts.network?.filter((port) => !isSetByRole(port))
    const settings = scriptedSettings({ ...state, facts: { ...facts, network } }, os)
    const role = roleOf(node)
    if (medium === 'net' || role === undefined || kernel.some(isReconfig)) return settings
    const warning = `the card has booted before: its ClusterCTRL role stays as it is, whatever ${node.name} should be (${role})`
    return joinSettings(settings, { warnings: [warning] })
  },

  start(os, state) {
    const start = startByRelease(os, state)
    const role = roleOf(state.node)
    return {
      ...start,
      card(kernel, identity) {
        const started = start.card(withRole(kernel, role), identity)
        return { ...started, kernel: withRoleLast(started.kernel) }
      },
    }
  },

  served: { ...debianRoot, kernel: (tokens) => debianRoot.kernel(withoutRole(tokens)) },
}

const roleOf = ({ clusterHat }: Node): string | undefined =>
  clusterHat?.role === 'slot' ? `p${clusterHat.slot}` : clusterHat?.role

/** The tokens before the switch, the switch with its role, and those behind it. */
function splitAtRole(tokens: readonly string[]): { before: string[]; reconfig: string[]; after: string[] } {
  const found = tokens.findIndex(isReconfig)
  const at = found === -1 ? tokens.length : found
  const length = isRole(tokens[at + 1]) ? 2 : 1
  return {
    before: tokens.slice(0, at),
    reconfig: tokens.slice(at, at + length),
    after: tokens.slice(at + length),
  }
}

/** The script takes the parameter right behind init= back out, together with it. */
function withRole(tokens: readonly string[], role: string | undefined): string[] {
  const { before, reconfig, after } = splitAtRole(tokens)
  const [init] = reconfig
  return init === undefined || role === undefined ? [...tokens] : [...before, init, role, ...after]
}

/** What the first images' script does not know how to leave: it cuts the line off from `init=`. */
function withRoleLast(tokens: readonly string[]): string[] {
  const { before, reconfig, after } = splitAtRole(tokens)
  return [...before, ...after, ...reconfig]
}

function withoutRole(tokens: readonly string[]): string[] {
  const { before, after } = splitAtRole(tokens)
  return [...before, ...after]
}

const isSetByRole = ({ name, address }: NodeInterface): boolean =>
  (name === 'usb0' || name === 'br0') && (address === undefined || address.ip.startsWith('172.19.181.'))
