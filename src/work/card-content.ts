/** What a card holds before it is erased: what piimage wrote there, or what somebody else may miss. */
import { bootFilesOfVolume } from '../customise/apply-boot-plan.ts'
import { parseReceipt, RECEIPT_FILE, type Receipt } from '../customise/receipt.ts'
import { openBootVolume } from '../disk/boot-volume.ts'
import { FatVolume } from '../disk/fat/volume.ts'
import { openVolume } from '../disk/open-volume.ts'
import { readPartitions } from '../disk/partitions.ts'
import { readSignatures } from '../drives/contents.ts'
import type { Drive } from '../drives/drive.ts'
import { listContents } from '../drives/list-contents.ts'
import { DriveError, FormatError } from '../errors.ts'
import { openFileReader } from '../io/file-reader.ts'
import { isHostFile } from './same-boot-files.ts'

/** Names everything, for `--erase`. */
export const ERASE_ANY = 'any'

/**
 * Nobody looks at the table where `--yes` answers: what lies on a drive, and is
 * neither ours nor empty, must be named then.
 * @param named labels or types, or `any`
 * @throws {DriveError} something that was not named
 */
export async function requireNamed(drive: Drive, named: readonly string[]): Promise<void> {
  const words = named.map((word) => word.toLowerCase())
  const isNamed = (word: string | undefined) => word !== undefined && words.includes(word.toLowerCase())
  const left = listContents(drive).filter(({ label, type }) => !isNamed(label) && !isNamed(type))
  if (left.length === 0 || words.includes(ERASE_ANY)) return
  if (!(await holdsAny(drive)) || (await readReceipt(drive)) !== undefined || (await isFresh(drive))) return
  const [first] = left
  throw new DriveError(
    `${drive.path} holds ${left.map(({ name }) => name).join(', ')}, which piimage did not write, and --yes confirms nothing by name`,
    {
      hint: `If nothing on it is needed, add --erase ${first?.label ?? first?.type} (or --erase ${ERASE_ANY}); or leave --yes out and look at the table.`,
    },
  )
}

/** Whether any of what the system's partition list names is really there. */
async function holdsAny(drive: Drive): Promise<boolean> {
  if ((await readSignatures(drive.path, drive.size)).length > 0) return true
  const table = await read(drive, (card) => readPartitions(card))
  for (const { offset, length } of table?.partitions ?? [])
    if ((await readSignatures(drive.path, length, offset)).length > 0) return true
  return false
}

/** What a card says it is; undefined: nothing that piimage wrote, or nothing whole. */
export const readReceipt = (drive: Drive): Promise<Receipt | undefined> =>
  read(drive, async (card) => {
    const { volume } = await openBootVolume(card)
    const bytes = await bootFilesOfVolume(volume).read(RECEIPT_FILE)
    return bytes === undefined ? undefined : parseReceipt(bytes)
  })

/** One FAT without files, as cards are sold. */
async function isFresh(drive: Drive): Promise<boolean> {
  if (drive.partitions.length > 1) return false
  const isEmpty = await read(drive, async (card) => {
    const volume =
      drive.partitions.length === 0 ? await openVolume(card) : (await openBootVolume(card)).volume
    if (!(volume instanceof FatVolume)) return false
    for await (const { path } of volume.walk()) if (!isHostFile(path)) return false
    return true
  })
  return isEmpty === true
}

async function read<T>(
  { path, size }: Drive,
  work: (card: Awaited<ReturnType<typeof openFileReader>>) => Promise<T>,
): Promise<T | undefined> {
  const card = await openFileReader(path, size)
  try {
    return await work(card)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof FormatError || code !== undefined) return undefined
    throw error
  } finally {
    await card.close()
  }
}
