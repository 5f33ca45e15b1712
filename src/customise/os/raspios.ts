/**
 * Raspberry Pi OS, and Debian images laid out like it.
 *
 * Three ways to start a first boot, by release: a shell as init (Stretch, whose
 * systemd is too old for the next), `systemd.run=` (Buster to Bookworm, and the
 * first Trixie images), cloud-init (Trixie since 2025-11-24). An image with
 * cloud-init's seed files on its boot partition uses them; whether the packages
 * are installed says nothing, the files do.
 *
 * Source: RPi-Distro/pi-gen (`stage2`, `export-image`), raspberrypi-sys-mods;
 * systemd-run-generator(8).
 */
import type { Node } from '../../cluster/node.ts'
import { FormatError } from '../../errors.ts'
import { type BootDraft, bytesOf } from '../boot-draft.ts'
import { type BootFiles, readText } from '../boot-files.ts'
import { cloudFacts } from '../cloud-facts.ts'
import { formatUserData, formatYaml, parseUserData } from '../cloud-init.ts'
import { parseCmdline, withBootScript, withInstanceId } from '../cmdline-txt.ts'
import type { SystemFacts } from '../edits.ts'
import { networkConfigV2 } from '../network/network-config.ts'
import { profilesOf } from '../profiles.ts'
import { acceptsPasswords, scriptFacts } from '../scripted-facts.ts'
import type { DetectedOs, OsFamily, Trigger } from './family.ts'
import { addInitScript, withInitShell } from './init-shell.ts'

interface Release {
  name: string
  bootMount: DetectedOs['bootMount']
  kernel: 4 | 5 | 6
  trigger: Trigger
}

const releases: readonly Release[] = [
  { name: 'stretch', bootMount: '/boot', kernel: 4, trigger: 'init' },
  { name: 'buster', bootMount: '/boot', kernel: 4, trigger: 'systemd.run' },
  { name: 'bullseye', bootMount: '/boot', kernel: 5, trigger: 'systemd.run' },
  { name: 'bookworm', bootMount: '/boot/firmware', kernel: 6, trigger: 'systemd.run' },
  { name: 'trixie', bootMount: '/boot/firmware', kernel: 6, trigger: 'systemd.run' },
]

const INSTALL = 'piimage/install.sh'
const writtenByUs = 'Written by piimage'

/** What the boot partition shows, before anything is concluded. */
interface Signs {
  /** cloud-init's seed files. */
  seed: boolean
  tokens: string[]
  config: string[]
  names: string[]
  /** YYYY-MM-DD from issue.txt. */
  date: string | undefined
}

async function readSigns(boot: BootFiles): Promise<Signs> {
  const names = (await boot.list('')).map(({ name }) => name.toLowerCase())
  const issue = (await readText(boot, 'issue.txt')) ?? ''
  return {
    seed: names.includes('user-data') && names.includes('meta-data'),
    tokens: parseCmdline((await readText(boot, 'cmdline.txt')) ?? ''),
    config: ((await readText(boot, 'config.txt')) ?? '').split(/\r?\n/).map((line) => line.trim()),
    names,
    date: /Raspberry Pi reference (\d{4}-\d\d-\d\d)/.exec(issue)?.[1],
  }
}

/** The first rule that fits decides; each names its evidence. */
function conclude({
  seed,
  tokens,
  config,
  names,
  date,
}: Signs): { release: string; evidence: string } | undefined {
  if (seed) return { release: 'trixie', evidence: 'user-data and meta-data: cloud-init reads this partition' }
  if (tokens.includes('resize')) return { release: 'trixie', evidence: 'cmdline.txt: resize' }
  if (config.includes('auto_initramfs=1'))
    return { release: 'bookworm', evidence: 'config.txt: auto_initramfs=1' }
  const init = tokens.find((token) => token.startsWith('init='))
  if (init === 'init=/usr/lib/raspberrypi-sys-mods/firstboot')
    return { release: 'bullseye', evidence: `cmdline.txt: ${init}` }
  if (date === undefined && init !== 'init=/usr/lib/raspi-config/init_resize.sh') return undefined
  if (config.includes('camera_auto_detect=1'))
    return { release: 'bullseye', evidence: 'config.txt: camera_auto_detect=1' }
  // Files for the Pi 4, which came with Buster.
  if (names.includes('start4.elf'))
    return { release: 'buster', evidence: 'start4.elf, and no camera_auto_detect' }
  return { release: 'stretch', evidence: 'no start4.elf: older than the Pi 4' }
}

function describe(release: Release, seed: boolean, evidence: string[]): DetectedOs {
  const cloudInit = seed && release.name === 'trixie'
  return {
    family: 'raspios',
    release: release.name,
    evidence,
    traits: { cloudInit, kernel: release.kernel },
    bootMount: release.bootMount,
    trigger: cloudInit ? 'cloud-init' : release.trigger,
  }
}

const rowOf = (name: string): Release => {
  const row = releases.find((release) => release.name === name)
  if (row === undefined) throw new Error(`no release ${name} of Raspberry Pi OS`)
  return row
}

export const raspios: OsFamily = {
  name: 'raspios',
  releases: releases.map(({ name }) => name),

  async recognise(boot) {
    const signs = await readSigns(boot)
    if (!signs.tokens.some((token) => token.startsWith('root='))) return undefined
    const found = conclude(signs)
    if (found === undefined) return undefined
    const evidence = [found.evidence]
    if (signs.date !== undefined) evidence.push(`issue.txt: Raspberry Pi reference ${signs.date}`)
    return describe(rowOf(found.release), signs.seed, evidence)
  },

  async assume(boot, release) {
    const { seed } = await readSigns(boot)
    return describe(rowOf(release), seed, ['given by hand'])
  },

  async express(facts, draft, os, node) {
    const { wifi, hostKey } = facts
    if (hostKey !== undefined) draft.early.add('host-keys')
    if (wifi !== undefined) {
      // Images keep Wi-Fi blocked until somebody says in which country they are.
      draft.early.add('wifi')
      draft.cmdlineEdits.push({ set: { 'cfg80211.ieee80211_regdom': wifi.country } })
    }
    if (os.trigger === 'cloud-init') expressByCloudInit(facts, draft, node)
    else expressByScripts(facts, draft, os, node)
  },

  async finish(draft, os, node) {
    if (os.trigger === 'init') addInitScript(draft, os)
    if (os.trigger !== 'cloud-init') return
    await warnOfLostSettings(draft)
    // Last of runcmd: it starts what needs the rest to be there.
    const runcmd = Array.isArray(draft.userData.runcmd) ? draft.userData.runcmd : []
    const tree = { ...draft.userData, runcmd: [...runcmd, ['sh', `${os.bootMount}/${INSTALL}`]] }
    draft.files.set('user-data', bytesOf(formatUserData(tree, `${writtenByUs} for node ${node.name}`)))
  },

  start(draft, os, identity) {
    const script = `${os.bootMount}/${INSTALL}`
    if (os.trigger === 'cloud-init') {
      draft.files.set('meta-data', bytesOf(formatYaml({ 'instance-id': identity, dsmode: 'local' })))
      // Without this cloud-init takes every boot for that of a new machine.
      draft.cmdline = withInstanceId(draft.cmdline, identity)
    } else if (os.trigger === 'systemd.run') draft.cmdline = withBootScript(draft.cmdline, script)
    else draft.cmdline = withInitShell(draft, os)
  },
}

function expressByCloudInit(facts: SystemFacts, draft: BootDraft, node: Node): void {
  cloudFacts(facts, draft, node)
  const profiles = profilesOf(facts)
  if (profiles.length === 0) return
  if (facts.wifi?.psk !== undefined) draft.secrets.add(facts.wifi.psk.reveal())
  const text = `# ${writtenByUs} for node ${node.name}\n${formatYaml(networkConfigV2(profiles))}`
  draft.files.set('network-config', bytesOf(text))
}

function expressByScripts(facts: SystemFacts, draft: BootDraft, os: DetectedOs, node: Node): void {
  scriptFacts(facts, draft, node)
  const { ssh, user } = facts
  if (ssh === undefined) return
  // The image's own switch: it works even if the payload could not run.
  draft.files.set('ssh', new Uint8Array())
  const answer = acceptsPasswords(facts) ? 'yes' : 'no'
  if (os.traits.kernel >= 5) {
    const content = bytesOf(`PasswordAuthentication ${answer}\n`)
    const path = '/etc/ssh/sshd_config.d/10-piimage.conf'
    draft.rootFiles.push({ path, content, mode: '0644', owner: 'root', group: 'root' })
  } else if (answer === 'no' && user?.passwordHash !== undefined) {
    draft.warnings.push(
      `the ssh server of ${os.release} reads no sshd_config.d: it goes on taking the password of ${user.name}`,
    )
  }
}

/** user-data is replaced whole: say so when somebody else put settings into it. */
async function warnOfLostSettings(draft: BootDraft): Promise<void> {
  const text = await readText(draft.boot, 'user-data')
  if (text === undefined || text.trim() === '' || text.includes(writtenByUs)) return
  let keys: string[]
  try {
    keys = Object.keys(parseUserData(text, 'user-data'))
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    keys = ['not cloud-config']
  }
  if (keys.length > 0) draft.warnings.push(`the image's own user-data is replaced (${keys.join(', ')})`)
}
