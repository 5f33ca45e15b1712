/**
 * Which system is this? Asks each family in turn; the first that knows the
 * boot partition's files takes it. A new family is one line here.
 */

import type { BootFiles } from '../boot/boot-files.ts'
import { FormatError, UsageError } from '../errors.ts'
import type { DetectedOs } from '../node/system.ts'
import { clusterctrl } from './clusterctrl.ts'
import { debian } from './debian.ts'
import { dietpi } from './dietpi.ts'
import type { OsFamily } from './family.ts'
import { hypriotos } from './hypriotos.ts'
import { raspios } from './raspios.ts'
import { refuseOthers } from './refused.ts'
import { ubuntu } from './ubuntu.ts'

/** Special ones first: a ClusterCTRL image is a Raspberry Pi OS, too, and Ubuntu has a seed like it. */
export const shippedFamilies: readonly OsFamily[] = [hypriotos, clusterctrl, ubuntu, debian, dietpi, raspios]

/** A family and a release of it, as an earlier plan wrote them down. */
export interface NotedSystem {
  family: string
  release: string
}

export interface Detected {
  family: OsFamily
  os: DetectedOs
}

/** Names that `--os` takes. */
export const listOsNames = (families = shippedFamilies): string[] =>
  families.flatMap(({ name, releases }) => releases.map((release) => `${name}-${release}`))

/**
 * @param override `<family>-<release>` as a person gave it; undefined: look
 * @throws {UsageError} there is no such system
 * @throws {FormatError} a system that is refused by name, or no family knows this partition; says what lies on it
 */
export async function detectSystem(
  boot: BootFiles,
  override?: string,
  noted?: NotedSystem,
  families = shippedFamilies,
): Promise<Detected> {
  const recognise = async (family: OsFamily): Promise<Detected | undefined> => {
    const os = await family.recognise(boot, noted?.family === family.name ? noted.release : undefined)
    return os === undefined ? undefined : { family, os }
  }
  if (override !== undefined) return assumeOs(boot, override, families, recognise)
  await refuseOthers(boot)
  for (const family of families) {
    const found = await recognise(family)
    if (found !== undefined) return found
  }
  const names = (await boot.list('')).map(({ name }) => name).sort()
  // Firmware lies on all of them.
  const telling = names.filter((name) => !/\.(?:dtb|dat|elf)$/i.test(name))
  const some = (telling.length > 0 ? telling : names).slice(0, 12)
  const shown = names.length === 0 ? 'nothing' : some.join(', ') + (names.length > some.length ? ', …' : '')
  throw new FormatError(`no known system lies on this boot partition: it holds ${shown}`, {
    hint: `Say which it is with --os (or os: in the cluster file): ${listOsNames(families).join(', ')}.`,
  })
}

async function assumeOs(
  boot: BootFiles,
  name: string,
  families: readonly OsFamily[],
  recognise: (family: OsFamily) => Promise<Detected | undefined>,
): Promise<Detected> {
  for (const family of families) {
    const release = family.releases.find((candidate) => `${family.name}-${candidate}` === name)
    if (release !== undefined) return { family, os: await family.assume(boot, release) }
    if (family.name !== name) continue
    const found = await recognise(family)
    if (found !== undefined) return found
    throw new UsageError(`this boot partition does not show which release of ${name} it is`, {
      hint: `Say one of ${family.releases.map((candidate) => `${name}-${candidate}`).join(', ')}.`,
    })
  }
  throw new UsageError(`there is no system ${JSON.stringify(name)}`, {
    hint: `Known are ${listOsNames(families).join(', ')}.`,
  })
}
