/** Reads what lies on block devices, where this user may. Nothing is written, and nothing that fails matters. */
import { open } from 'node:fs/promises'
import { findSignatures, HEAD_BYTES, type Signature, TAIL_BYTES } from './signatures.ts'

/**
 * @param size of the device, or of the part of it that begins at `start`
 * @returns none where it can't be read
 */
export async function readSignatures(path: string, size: number, start = 0): Promise<Signature[]> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return []
  try {
    const read = async (offset: number, length: number): Promise<Buffer> => {
      const bytes = Buffer.alloc(length)
      const { bytesRead } = await file.read(bytes, 0, length, start + offset)
      return bytes.subarray(0, bytesRead)
    }
    const tailBytes = Math.min(size, TAIL_BYTES)
    const head = await read(0, Math.min(size, HEAD_BYTES))
    return findSignatures(head, await read(size - tailBytes, tailBytes), size)
  } catch {
    return []
  } finally {
    await file.close()
  }
}
