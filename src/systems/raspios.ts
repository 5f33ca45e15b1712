/**
 * Raspberry Pi OS, and Debian images laid out like it.
 *
 * Three ways to start a first boot, by release: a shell as init (Stretch, whose
 * systemd is too old for the next), `systemd.run=` (Buster to Bookworm, and the
 * first Trixie images), cloud-init (Trixie since 2025-11-24). An image with
 * cloud-init's seed files on its boot partition uses them; whether the packages
 * are installed says nothing, the files do. Where rpi-preseed takes cloud-init's
 * place, `systemd.run=` comes before its units (../boot/preseed.ts).
 *
 * `userconf.txt` is not written: the early step `user` does what it does, on
 * every release, and a second renaming at the next boot would stop there and
 * wait for somebody at the screen.
 *
 * Source: RPi-Distro/pi-gen, raspberrypi-sys-mods, userconf-pi;
 * systemd-run-generator(8).
 */

import { bytesOf, readText } from '../boot/boot-files.ts'
import { emptyPreseed, PRESEED, preseedKeys } from '../boot/preseed.ts'
import type { NodeState } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import { cloudFacts, networkConfig, seedData } from './cloud-seed.ts'
import type { Medium, OsFamily, SystemImage } from './family.ts'
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
import { debianRoot } from './root/debian.ts'
import { hostKeySettings, radioSettings, scriptedSettings, scriptNetwork } from './scripted.ts'
import { joinSettings, type Settings } from './settings.ts'
import { type Start, startByCloudInit, startByInitShell, startBySystemdRun } from './start.ts'

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

  settle: (state, image, medium) =>
    image.os.trigger === 'cloud-init'
      ? settleByCloudInit(state, image, medium)
      : settleBySteps(state, image, medium),

  start: startByRelease,

  imagerFormat: ({ trigger }) =>
    trigger === 'cloud-init' ? 'cloudinit-rpi' : trigger === 'systemd.run' ? 'systemd' : 'none',

  served: debianRoot,
}

/** Start the payload the way the release can; for systems built on Raspberry Pi OS as well. */
export function startByRelease(os: DetectedOs, state: NodeState): Start {
  if (os.trigger === 'cloud-init') return startByCloudInit(state, { dsmode: 'local' }, { byCmdline: true })
  return os.trigger === 'systemd.run' ? startBySystemdRun(os, state) : startByInitShell(os)
}

/** @returns also an rpi-preseed.toml that sets nothing, where one lies: it would come over the node's settings on the boot after */
async function settleBySteps(state: NodeState, { os, boot }: SystemImage, medium: Medium): Promise<Settings> {
  const settings = scriptedSettings(state, os)
  const preseed = medium === 'net' ? undefined : await readText(boot, PRESEED)
  if (preseed === undefined) return settings
  const lost = preseedKeys(preseed)
  return joinSettings(settings, {
    seed: new Map([[PRESEED, bytesOf(emptyPreseed())]]),
    warnings: lost.length === 0 ? [] : [`the image's own ${PRESEED} is replaced (${lost.join(', ')})`],
  })
}

async function settleByCloudInit(
  state: NodeState,
  { os, boot }: SystemImage,
  medium: Medium,
): Promise<Settings> {
  const { node, facts } = state
  const profiles = profilesOf(facts)
  const network = profiles.length === 0 ? undefined : networkConfigV2(profiles)
  return joinSettings(
    hostKeySettings(facts),
    radioSettings(facts),
    // cloud-init keeps off the network of a root that came over it.
    medium === 'net' ? scriptNetwork(facts, node.name) : await networkConfig(boot, node.name, network, ''),
    await seedData(state, cloudFacts(state), os, boot),
  )
}
