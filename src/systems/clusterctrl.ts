/**
 * ClusterCTRL and ClusterHAT images: Raspberry Pi OS whose first process, once,
 * is `reconfig-clusterctrl ROLE`.
 *
 * The role stands behind `init=` on the command line, so one CBRIDGE or CNAT
 * image becomes every node: `cnat`, `cbridge`, or `p1` … `p252`. That first
 * boot names the node after its role, rewrites config.txt and cmdline.txt, puts
 * the image's own resizing `init=` at the end of the line and restarts; our
 * `systemd.run=` waits on the line until after that, and names the node anew.
 * The role goes to the end of the line: the script of 2019 (below /sbin) takes
 * out everything from ` init=` on.
 *
 * The addresses of the internal network (172.19.181.0/24 on usb0 and br0) are
 * set by the image itself, from the role.
 *
 * Source: burtyb/clusterhat-image, `files/usr/sbin/reconfig-clusterctrl`.
 */

import { type BootFiles, readText } from '../boot/boot-files.ts'
import { NODE_RECORD } from '../boot/payload-paths.ts'
import type { Node, NodeInterface } from '../cluster/node.ts'
import type { BootDraft } from '../customise/boot-draft.ts'
import type { DetectedOs } from '../node/system.ts'
import type { OsFamily } from './family.ts'
import { addInitScript } from './init-shell.ts'
import { startByRelease } from './raspios.ts'
import { concludeRelease, type Release, readSigns, releaseNamed, releases } from './raspios-release.ts'
import { radioFacts, scriptFacts } from './scripted-facts.ts'

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

/** A card that has booted shows no role any more; an earlier plan noted what it was. */
async function readRecord(boot: BootFiles): Promise<Release | undefined> {
  const system = /"system": "clusterctrl-([a-z]+)"/.exec((await readText(boot, NODE_RECORD)) ?? '')?.[1]
  return known.find(({ name }) => name === system)
}

export const clusterctrl: OsFamily = {
  name: 'clusterctrl',
  releases: known.map(({ name }) => name),

  async recognise(boot) {
    const signs = await readSigns(boot)
    const at = signs.tokens.findIndex(isReconfig)
    if (at !== -1) {
      const { release, evidence } = concludeRelease({ ...signs, seed: false })
      return describe(release, [`cmdline.txt: ${signs.tokens.slice(at, at + 2).join(' ')}`, ...evidence])
    }
    const noted = await readRecord(boot)
    return noted === undefined ? undefined : describe(noted, [`${NODE_RECORD}: written by an earlier plan`])
  },

  async assume(_boot, release) {
    return describe(releaseNamed(release), ['given by hand'])
  },

  async express(facts, draft, os, node) {
    setRole(draft, node)
    if (facts.hostKey !== undefined) draft.early.add('host-keys')
    radioFacts(facts, draft)
    const network = facts.network?.filter((port) => !isSetByRole(port))
    scriptFacts({ ...facts, network }, draft, os, node)
  },

  async finish(draft, os) {
    if (os.trigger === 'init') addInitScript(draft, os)
  },

  start(draft, os, identity) {
    startByRelease(draft, os, identity)
    draft.cmdline = withRoleLast(draft.cmdline)
  },
}

/** What the first images' script does not know how to leave: it cuts the line off from `init=`. */
function withRoleLast(tokens: readonly string[]): string[] {
  const at = tokens.findIndex(isReconfig)
  if (at === -1) return [...tokens]
  const role = tokens.slice(at, isRole(tokens[at + 1]) ? at + 2 : at + 1)
  return [...tokens.slice(0, at), ...tokens.slice(at + role.length), ...role]
}

function isSetByRole({ name, address }: NodeInterface): boolean {
  return (
    (name === 'usb0' || name === 'br0') && (address === undefined || address.ip.startsWith('172.19.181.'))
  )
}

function setRole(draft: BootDraft, { name, clusterHat }: Node): void {
  if (clusterHat === undefined) return
  const role = clusterHat.role === 'slot' ? `p${clusterHat.slot}` : clusterHat.role
  const at = draft.cmdline.findIndex(isReconfig)
  if (at === -1) {
    draft.warnings.push(
      `the card has booted before: its ClusterCTRL role stays as it is, whatever ${name} should be (${role})`,
    )
    return
  }
  const rest = draft.cmdline.slice(at + 1)
  // The script takes the parameter right behind init= back out, together with it.
  draft.cmdline = [...draft.cmdline.slice(0, at + 1), role, ...(isRole(rest[0]) ? rest.slice(1) : rest)]
}
