/**
 * Raspberry Pi OS, and Debian images laid out like it.
 *
 * Three ways to start a first boot, by release: a shell as init (Stretch, whose
 * systemd is too old for the next), `systemd.run=` (Buster to Bookworm, and the
 * first Trixie images), cloud-init (Trixie since 2025-11-24). An image with
 * cloud-init's seed files on its boot partition uses them; whether the packages
 * are installed says nothing, the files do.
 *
 * `userconf.txt` is not written: the early step `user` does what it does, on
 * every release, and a second renaming at the next boot would stop there and
 * wait for somebody at the screen.
 *
 * Source: RPi-Distro/pi-gen, raspberrypi-sys-mods, userconf-pi;
 * systemd-run-generator(8).
 */

import { bytesOf } from '../boot/boot-files.ts'
import { formatYaml } from '../boot/cloud-init.ts'
import { withBootScript, withInstanceId } from '../boot/cmdline-txt.ts'
import { INSTALL } from '../boot/payload-paths.ts'
import type { Node } from '../cluster/node.ts'
import type { BootDraft } from '../customise/boot-draft.ts'
import type { SystemFacts } from '../node/edits.ts'
import type { DetectedOs } from '../node/system.ts'
import { cloudFacts, finishUserData, writeNetworkConfig } from './cloud-facts.ts'
import type { OsFamily } from './family.ts'
import { addInitScript, withInitShell } from './init-shell.ts'
import { networkConfigV2 } from './network/network-config.ts'
import { profilesOf } from './profiles.ts'
import {
  concludeRelease,
  looksLikeRaspios,
  type Release,
  readSigns,
  releaseNamed,
  releases,
} from './raspios-release.ts'
import { radioFacts, scriptFacts } from './scripted-facts.ts'

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

export const raspios: OsFamily = {
  name: 'raspios',
  releases: releases.map(({ name }) => name),

  async recognise(boot) {
    const signs = await readSigns(boot)
    if (!looksLikeRaspios(signs)) return undefined
    const { release, evidence } = concludeRelease(signs)
    return describe(release, signs.seed, evidence)
  },

  async assume(boot, release) {
    const { seed } = await readSigns(boot)
    return describe(releaseNamed(release), seed, ['given by hand'])
  },

  async express(facts, draft, os, node) {
    if (facts.hostKey !== undefined) draft.early.add('host-keys')
    radioFacts(facts, draft)
    if (os.trigger === 'cloud-init') await expressByCloudInit(facts, draft, node)
    else scriptFacts(facts, draft, os, node)
  },

  async finish(draft, os, node) {
    if (os.trigger === 'init') addInitScript(draft, os)
    if (os.trigger === 'cloud-init') await finishUserData(draft, os, node)
  },

  start: startByRelease,
}

/** Start the payload the way the release can; for systems built on Raspberry Pi OS as well. */
export function startByRelease(draft: BootDraft, os: DetectedOs, identity: string): void {
  if (os.trigger === 'cloud-init') {
    draft.files.set('meta-data', bytesOf(formatYaml({ 'instance-id': identity, dsmode: 'local' })))
    // Without this cloud-init takes every boot for that of a new machine.
    draft.cmdline = withInstanceId(draft.cmdline, identity)
  } else if (os.trigger === 'systemd.run')
    draft.cmdline = withBootScript(draft.cmdline, `${os.bootMount}/${INSTALL}`)
  else draft.cmdline = withInitShell(draft, os)
}

async function expressByCloudInit(facts: SystemFacts, draft: BootDraft, node: Node): Promise<void> {
  cloudFacts(facts, draft, node)
  const profiles = profilesOf(facts)
  if (facts.wifi?.psk !== undefined) draft.secrets.add(facts.wifi.psk.reveal())
  await writeNetworkConfig(draft, node, profiles.length === 0 ? undefined : networkConfigV2(profiles), '')
}
