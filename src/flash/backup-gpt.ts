/**
 * The backup of a GPT that an earlier life of a drive left at its very end:
 * partition tools would find it again and offer it as a repair.
 * Source: UEFI specification §5.3.2.
 */
import { alignDown, alignUp, SECTOR_BYTES } from '../units.ts'
import { ALIGN_BYTES, type Target } from './target.ts'
import { readTarget } from './target-fault.ts'

/** 32 sectors of entries and the header. */
const BACKUP_GPT_BYTES = 33 * SECTOR_BYTES

/**
 * @param imageLength what the image itself covers is kept
 * @param buffer page-aligned, for the drive's last blocks
 * @returns what to write over it, in `buffer`; undefined: there is none
 */
export async function findStaleGpt(
  target: Target,
  imageLength: number,
  bootAreaBytes: number,
  buffer: Buffer,
): Promise<{ offset: number; bytes: Buffer } | undefined> {
  const offset = alignDown(target.length - BACKUP_GPT_BYTES, ALIGN_BYTES)
  if (target.kind === 'file' || offset < bootAreaBytes) return undefined
  const bytes = buffer.subarray(0, target.length - offset)
  await readTarget(target, bytes, offset)
  const keep = Math.max(0, alignUp(imageLength, SECTOR_BYTES) - offset)
  const header = bytes.length - SECTOR_BYTES
  if (keep > header || bytes.toString('latin1', header, header + 8) !== 'EFI PART') return undefined
  bytes.fill(0, Math.max(keep, bytes.length - BACKUP_GPT_BYTES))
  return { offset, bytes }
}
