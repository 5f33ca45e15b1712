/**
 * A new name in a folder: first find its place and alias, which changes nothing
 * and can be refused; then write it, growing the folder by the clusters promised.
 */
import { FormatError } from '../../errors.ts'
import type { BlockEditor } from '../changes.ts'
import { formatEntry, type NewEntry, SLOT_BYTES, slotsNeeded } from './dir-entry.ts'
import {
  type Directory,
  type DirectorySource,
  describeFolder,
  findFreeSlots,
  MAX_DIRECTORY_SLOTS,
  writeSlots,
} from './directory.ts'
import type { FreeMap } from './free-map.ts'
import { checkName, chooseAlias, isShortName } from './names.ts'

/** Where a new entry goes in its folder. */
export interface Placement {
  alias: string
  /** Whether a long name is written besides the alias. */
  long: boolean
  slot: number
  /** Clusters the folder must grow by. */
  growth: number
}

/**
 * @throws {FormatError} the folder can hold no more
 * @throws {UsageError} no name for FAT
 */
export function planEntry({ geometry }: DirectorySource, folder: Directory, name: string): Placement {
  checkName(name)
  const long = !isShortName(name)
  const alias = chooseAlias(name, new Set(folder.entries.map((entry) => entry.alias)))
  const count = slotsNeeded(name, long)
  const slot = findFreeSlots(folder, count)
  const missing = slot + count - folder.bytes.length / SLOT_BYTES
  if (missing <= 0) return { alias, long, slot, growth: 0 }
  const isFixed = folder.clusters.length === 0
  if (isFixed || slot + count > MAX_DIRECTORY_SLOTS) {
    const most = isFixed ? geometry.rootEntries : MAX_DIRECTORY_SLOTS
    throw new FormatError(
      `${describeFolder(folder.path)} of the FAT volume is full: ${name} needs ${count} of its ${most} entries in a row`,
      {
        hint: 'Remove files there, or put new ones into a folder; a long name takes an entry per 13 letters.',
      },
    )
  }
  return { alias, long, slot, growth: Math.ceil((missing * SLOT_BYTES) / geometry.clusterBytes) }
}

/** Write an entry where `planEntry` placed it. */
export async function addEntry(
  { geometry, table, store }: DirectorySource,
  editor: BlockEditor,
  free: FreeMap,
  folder: Directory,
  { alias, long, slot, growth }: Placement,
  fields: Omit<NewEntry, 'alias' | 'long'>,
): Promise<void> {
  let { ranges } = folder
  if (growth > 0) {
    const last = folder.clusters.at(-1) as number
    const added = free.takeAt(last + 1, growth) ?? free.take(growth)
    await store.writeNew(editor, store.ranges(added), new Uint8Array(growth * geometry.clusterBytes))
    await table.link([last, ...added])
    ranges = store.ranges([...folder.clusters, ...added])
  }
  const bytes = formatEntry({ ...fields, alias, long })
  await writeSlots(editor, { ranges }, slot, bytes)
  // Some systems leave old entries behind the end mark; where it was overwritten, it moves on.
  const next = slot + bytes.length / SLOT_BYTES
  const isPastEnd = next > folder.usedSlots && next * SLOT_BYTES < folder.bytes.length
  if (isPastEnd && folder.bytes[next * SLOT_BYTES] !== 0) {
    await writeSlots(editor, { ranges }, next, new Uint8Array(SLOT_BYTES))
  }
}
