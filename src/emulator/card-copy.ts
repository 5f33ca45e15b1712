/**
 * A throw-away card: what an image's file systems use, in a sparse file as long
 * as a small card, so that the system can grow its root as it does on a board.
 * The image is only read.
 */
import { open } from 'node:fs/promises'
import { type BlockReader, type Range, readInto } from '../disk/blocks.ts'
import { DriveError } from '../errors.ts'
import { GiB, MiB } from '../units.ts'

/** As small as cards are sold; QEMU wants a power of two. */
const SMALLEST_CARD = 8 * GiB
const CHUNK_BYTES = 4 * MiB

const isZero = (bytes: Buffer): boolean =>
  bytes.length === 0 || (bytes[0] === 0 && bytes.equals(ZEROS.subarray(0, bytes.length)))
const ZEROS = Buffer.alloc(CHUNK_BYTES)

/**
 * @param ranges what of the image is used
 * @throws {DriveError} there is no room
 * @throws the signal's reason
 */
export async function copyCard(
  image: BlockReader,
  ranges: readonly Range[],
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.truncate(cardBytes(image.length))
    const buffer = Buffer.alloc(CHUNK_BYTES)
    for (const { offset, length } of ranges)
      for (let done = 0; done < length; done += CHUNK_BYTES) {
        signal.throwIfAborted()
        const part = buffer.subarray(0, Math.min(CHUNK_BYTES, length - done))
        await readInto(image, part, offset + done)
        if (!isZero(part)) await file.write(part, 0, part.length, offset + done)
      }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!/^(ENOSPC|EDQUOT|EFBIG)$/.test(code)) throw error
    throw new DriveError(`there is no room for a throw-away card (${code}): ${path}`, {
      hint: 'Free some space, or name a folder on another disk: TMPDIR=/some/folder piimage boot …',
      cause: error,
    })
  } finally {
    await file.close()
  }
}

/** The next power of two. */
function cardBytes(length: number): number {
  let bytes = SMALLEST_CARD
  while (bytes < length) bytes *= 2
  return bytes
}
