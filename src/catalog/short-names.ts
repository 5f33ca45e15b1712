/**
 * Names of images without their version: `raspios-trixie-arm64-lite`,
 * `hypriotos`, `clusterctrl-bookworm-arm64`. They stand for the newest image of
 * that name in a lock, which is pinned as ever; and no name at all stands for
 * the newest Raspberry Pi OS Lite that a board runs.
 */
import type { LockedImage } from './locked-image.ts'

type Images = ReadonlyMap<string, Pick<LockedImage, 'os' | 'release' | 'arch' | 'variant' | 'version'>>

/** Debian's releases, oldest first; their names say nothing of their order. */
const RELEASES = ['jessie', 'stretch', 'buster', 'bullseye', 'bookworm', 'trixie', 'forky']

/** A key without its version. */
export const kindOf = (key: string): string => key.slice(0, key.lastIndexOf('@'))

/** Oldest first: dates, and numbers with dots, are both in the order of their numbers. */
const compareVersions = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })

const newestKey = (images: Images, keys: readonly string[]): string | undefined =>
  keys.toSorted((a, b) => compareVersions(images.get(a)?.version ?? '', images.get(b)?.version ?? '')).at(-1)

/**
 * The kinds of image that a name stands for: that one, or all that begin with
 * it at a whole word.
 */
export function kindsNamed(images: Images, name: string): string[] {
  const kinds = [...new Set([...images.keys()].map(kindOf))]
  return kinds.includes(name) ? [name] : kinds.filter((kind) => kind.startsWith(`${name}-`)).sort()
}

/** @returns the key of the newest image of that name; undefined: there is none, or several kinds of them */
export function newestNamed(images: Images, name: string): string | undefined {
  const [kind, ...others] = kindsNamed(images, name)
  if (kind === undefined || others.length > 0) return undefined
  return newestKey(
    images,
    [...images.keys()].filter((key) => kindOf(key) === kind),
  )
}

/** The newest Raspberry Pi OS Lite for an architecture: of the newest release, whatever is newer of an older one. */
export function newestLite(images: Images, arch: LockedImage['arch']): string | undefined {
  const fitting = [...images].filter(
    ([, image]) => image.os === 'raspios' && image.arch === arch && image.variant === 'lite',
  )
  const age = ({ release }: { release: string | null }) => RELEASES.indexOf(release ?? '')
  const newest = Math.max(...fitting.map(([, image]) => age(image)))
  return newestKey(
    images,
    fitting.filter(([, image]) => age(image) === newest).map(([key]) => key),
  )
}
