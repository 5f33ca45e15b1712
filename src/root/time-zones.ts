/**
 * The time zones a root file system knows: those whose file is there. The names
 * that stand for another one are listed in tzdata.zi; Debian keeps their files
 * in a package of its own since Trixie, so a listed name need not be there.
 *
 * Source: zic(8), "L" lines; tzfile(5).
 */
import { type RootFiles, readRootText } from './root-files.ts'

export interface TimeZones {
  /** Whether the name can be set as it is; upper and lower case count. */
  has(name: string): Promise<boolean>
  /** The name under which the root knows a zone, from any spelling or older name; undefined: none. */
  canonical(name: string): Promise<string | undefined>
  /** Those that are listed, for near ones; a listed one need not be there. */
  listed: readonly string[]
}

const FOLDER = '/usr/share/zoneinfo'

export async function readTimeZones(root: RootFiles): Promise<TimeZones | undefined> {
  if ((await root.list(FOLDER)).length === 0) return undefined
  const links = new Map<string, string>()
  /** Names without regard to case. */
  const names = new Map<string, string>()
  for (const line of ((await readRootText(root, `${FOLDER}/tzdata.zi`)) ?? '').split('\n')) {
    const [kind, first = '', second = ''] = line.split(/\s+/)
    const name = kind === 'L' ? second : kind === 'Z' ? first : ''
    if (name !== '') names.set(name.toLowerCase(), name)
    if (kind === 'L') links.set(second, first)
  }
  const has = async (name: string) =>
    /^[A-Za-z0-9_+-]+(?:\/[A-Za-z0-9_+-]+)*$/.test(name) &&
    (await root.size(`${FOLDER}/${name}`)) !== undefined
  return {
    has,
    listed: [...names.values()],
    async canonical(name) {
      const spelled = names.get(name.toLowerCase()) ?? name
      const target = links.get(spelled)
      for (const candidate of [spelled, target])
        if (candidate !== undefined && (await has(candidate))) return candidate
      return undefined
    },
  }
}
