/** How this folder says that a volume is damaged: what is wrong, and at which byte of the volume. */
import { FormatError } from '../../errors.ts'

const hint = 'Check the image against its digest and fetch it again, or run e2fsck -fn on it.'

/** @param offset byte of the volume (not of the image) where the wrong value stands */
export function damaged(what: string, offset: number): FormatError {
  return new FormatError(`ext4: ${what}, at byte ${offset} of the volume`, { hint })
}
