/**
 * What publishers' file names say: system, release, version, architecture,
 * variant and packing. One row per publisher and era; the first that matches
 * counts. A name is evidence of what a file is meant to be, never of what is in
 * it: unpacking tells formats by their first bytes.
 *
 * Sources: the directory layouts of Raspberry Pi, HypriotOS' releases, the
 * history of clusterhat-image's build/create.sh, Ubuntu's cdimage.
 */
import type { ImageFormat, LockedImage } from './locked-image.ts'

export type ImageName = Pick<LockedImage, 'os' | 'release' | 'version' | 'arch' | 'variant' | 'format'>

type Groups = Record<string, string | undefined>

interface NameRule {
  pattern: RegExp
  read(groups: Groups, url: string): Omit<ImageName, 'format'>
}

const date = String.raw`(?<date>\d{4}-\d{2}-\d{2})`
const armArch = (text: string | undefined): 'armhf' | 'arm64' => (text === 'arm64' ? 'arm64' : 'armhf')
const orDesktop = (text: string | undefined): string =>
  text === undefined || text === 'std' ? 'desktop' : text

const rules: NameRule[] = [
  {
    pattern: new RegExp(
      `^${date}-raspios-(?<release>[a-z]+)-(?<arch>armhf|arm64)(?:-(?<variant>lite|full))?$`,
    ),
    read: (g) => ({
      os: 'raspios',
      release: g.release ?? null,
      version: g.date ?? '',
      arch: armArch(g.arch),
      variant: orDesktop(g.variant),
    }),
  },
  {
    // Raspbian was armhf only and never said so.
    pattern: new RegExp(`^${date}-raspbian-(?<release>[a-z]+)(?:-(?<variant>lite|full))?$`),
    read: (g) => ({
      os: 'raspbian',
      release: g.release ?? null,
      version: g.date ?? '',
      arch: 'armhf',
      variant: orDesktop(g.variant),
    }),
  },
  {
    pattern: /^hypriotos-(?<board>rpi|rpi64)-(?<version>v[0-9][0-9A-Za-z.-]*)$/,
    read: (g) => ({
      os: 'hypriotos',
      release: null,
      version: g.version ?? '',
      arch: g.board === 'rpi64' ? 'arm64' : 'armhf',
      variant: g.board ?? '',
    }),
  },
  {
    // ClusterCTRL since 2020-09; with the code name since 2022-05.
    pattern: new RegExp(
      `^${date}-(?<rev>\\d+)(?:-(?<release>[a-z]+))?-ClusterCTRL-(?<arch>armhf|arm64)(?:-(?<kind>lite|full))?-(?<role>CBRIDGE|CNAT|p\\d{1,3}|usbboot)$`,
    ),
    read: (g, url) => clusterCtrl(g, url),
  },
  {
    // ClusterHAT until spring 2019, ClusterCTRL from 2019-06 to 2020-08.
    pattern: new RegExp(
      `^Cluster(?:HAT|CTRL)-${date}-(?<kind>lite|std|full)-(?<rev>\\d+)-(?<role>controller|CBRIDGE|CNAT|p\\d{1,3}|usbboot)$`,
    ),
    read: (g, url) => clusterCtrl(g, url),
  },
  {
    pattern:
      /^ubuntu-(?<version>\d\d\.\d\d(?:\.\d+)?)-preinstalled-(?<variant>server|desktop)-(?<arch>armhf|arm64)\+raspi$/,
    read: (g, url) => ({
      os: 'ubuntu',
      release: /\/releases\/([a-z]+)\/release\//.exec(url)?.[1] ?? null,
      version: g.version ?? '',
      arch: armArch(g.arch),
      variant: g.variant ?? '',
    }),
  },
]

function clusterCtrl(g: Groups, url: string): Omit<ImageName, 'format'> {
  return {
    os: 'clusterctrl',
    // Before 2022 only the folder may name the release: /clusterctrl/buster/2020-12-02/…
    release: g.release ?? /\/clusterctrl\/(?:usbboot\/)?([a-z]+)\/\d{4}-/.exec(url)?.[1] ?? null,
    version: `${g.date}-${g.rev}`,
    arch: armArch(g.arch),
    variant: `${orDesktop(g.kind)}-${(g.role ?? '').toLowerCase()}`,
  }
}

/** Longest first: `.img.zip` before `.zip`. A `.zip` of Raspberry Pi's holds one .img. */
const endings: [ending: string, format: ImageFormat][] = [
  ['.tar.xz', 'tar.xz'],
  ['.img.zip', 'zip'],
  ['.img.xz', 'xz'],
  ['.img.gz', 'gz'],
  ['.img.zst', 'zst'],
  ['.zip', 'zip'],
  ['.xz', 'xz'],
  ['.gz', 'gz'],
  ['.zst', 'zst'],
  ['.img', 'img'],
]

/** The last part of a URL's path, decoded: `…-lite.img.xz`. */
export function fileNameOf(url: string): string {
  const path = url.replace(/[?#].*$/s, '')
  const last = path.slice(path.lastIndexOf('/') + 1)
  try {
    return decodeURIComponent(last)
  } catch {
    return last
  }
}

/** How a file of this name is packed, and the name without that; undefined: the name doesn't tell. */
export function formatOfName(name: string): { format: ImageFormat; stem: string } | undefined {
  for (const [ending, format] of endings) {
    if (name.endsWith(ending) && name.length > ending.length)
      return { format, stem: name.slice(0, -ending.length) }
  }
  return undefined
}

/** What the file name at the end of `url` says; undefined: not a name of a publisher we know. */
export function parseImageName(url: string): ImageName | undefined {
  const name = formatOfName(fileNameOf(url))
  if (name === undefined) return undefined
  for (const rule of rules) {
    const match = rule.pattern.exec(name.stem)
    if (match !== null) return { ...rule.read(match.groups ?? {}, url), format: name.format }
  }
  return undefined
}

/** `<os>-<release>-<arch>-<variant>@<version>`; a system without release names (HypriotOS) leaves that out. */
export function formatKey(name: Omit<ImageName, 'format'>): string {
  const parts =
    name.os === 'hypriotos' ? [name.os, name.variant] : [name.os, name.release, name.arch, name.variant]
  return `${parts
    .filter((part) => part !== null)
    .join('-')
    .toLowerCase()}@${name.version}`
}

const systems = [
  'raspios',
  'raspbian',
  'hypriotos',
  'clusterctrl',
  'ubuntu',
  'debian',
  'armbian',
  'dietpi',
  'other',
]

/**
 * What a key given by hand says of an image whose file name says nothing. A
 * first word that is no system we know makes it `other`.
 * @returns undefined unless it is `<os>-[<release>-]<armhf|arm64>-<variant>@<version>`
 */
export function parseKey(key: string): Omit<ImageName, 'format'> | undefined {
  const match =
    /^(?<os>[a-z0-9]+)-(?:(?<release>[a-z0-9.+]+)-)?(?<arch>armhf|arm64)-(?<variant>[a-z0-9.+-]+)@(?<version>[A-Za-z0-9][A-Za-z0-9.+-]*)$/.exec(
      key,
    )
  const g = match?.groups
  if (g === undefined) return undefined
  const os = g.os !== undefined && systems.includes(g.os) ? g.os : 'other'
  return {
    os,
    release: g.release ?? null,
    version: g.version ?? '',
    arch: armArch(g.arch),
    variant: g.variant ?? '',
  }
}
