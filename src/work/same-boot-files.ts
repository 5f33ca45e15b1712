/**
 * Whether two boot partitions hold the same files. `customise` edits what is
 * there, so it lays them out otherwise than `flash`, with the same outcome.
 */
import type { BlockReader } from '../disk/blocks.ts'
import { openBootVolume } from '../disk/boot-volume.ts'
import type { FatVolume } from '../disk/fat/volume.ts'
import { MOST_DIFFERENCES } from '../flash/compare.ts'

/** @returns the paths, in order, of what is not the same on both */
export async function listOtherFiles(a: FatVolume, b: FatVolume): Promise<string[]> {
  const others: string[] = []
  const [left, right] = [await contents(a), await contents(b)]
  const paths = [...new Set([...left.keys(), ...right.keys()])].sort()
  for (const path of paths) {
    const [one, other] = [left.get(path), right.get(path)]
    if (one === undefined || other === undefined || one.isDirectory !== other.isDirectory) others.push(path)
    else if (!one.isDirectory && !Buffer.from(await a.readFile(path)).equals(await b.readFile(path)))
      others.push(path)
  }
  return others
}

async function contents(volume: FatVolume): Promise<Map<string, { isDirectory: boolean }>> {
  const entries = new Map<string, { isDirectory: boolean }>()
  for await (const entry of volume.walk()) if (!isHostFile(entry.path)) entries.set(entry.path, entry)
  return entries
}

/** The topmost of what hosts have left on a boot partition, by path. */
export async function listHostFiles(volume: FatVolume): Promise<string[]> {
  const tops = new Set<string>()
  for await (const { path } of volume.walk()) if (isHostFile(path)) tops.add(path.split('/')[0] ?? path)
  return [...tops].sort()
}

/** What macOS, Windows and desktops leave on every card that they mount; nothing a Pi reads. */
export const isHostFile = (path: string): boolean =>
  /^(\.fseventsd|\.Spotlight-V100|\.Trashes|\.TemporaryItems|\.DocumentRevisions-V100|\.Trash-\d+|System Volume Information)(\/|$)|(^|\/)(\._[^/]*|\.DS_Store)$/i.test(
    path,
  )

/**
 * The files of the boot partition in which a card differs from the image; none: only how they are laid out.
 * @returns undefined: it differs elsewhere, or may
 */
export async function listDifferingFiles(
  card: BlockReader,
  image: BlockReader,
  differences: readonly { offset: number; length: number }[],
): Promise<string[] | undefined> {
  // The list was cut off: what comes after it was not looked at.
  if (differences.length >= MOST_DIFFERENCES) return undefined
  const { volume, partition } = await openBootVolume(image)
  const end = partition.offset + partition.length
  if (!differences.every(({ offset, length }) => offset >= partition.offset && offset + length <= end))
    return undefined
  return listOtherFiles((await openBootVolume(card)).volume, volume)
}
