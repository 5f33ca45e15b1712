/**
 * How long a zstd frame is: an initial RAM disk may go on after it, and a
 * decoder takes what follows for damage.
 *
 * Source: RFC 8878 §3.1.1 (frame header, blocks, checksum).
 */

/** @returns the bytes of the frame that starts at 0; all there are when it is cut off */
export function lengthOfZstdFrame(bytes: Buffer): number {
  const descriptor = bytes[4] ?? 0
  const singleSegment = Math.floor(descriptor / 32) % 2 === 1
  const sizeFlag = Math.floor(descriptor / 64)
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][sizeFlag] as number
  const dictionaryBytes = [0, 1, 2, 4][descriptor % 4] as number
  const checksumBytes = Math.floor(descriptor / 4) % 2 === 1 ? 4 : 0
  let offset = 5 + (singleSegment ? 0 : 1) + dictionaryBytes + sizeBytes
  for (let last = false; !last; ) {
    if (offset + 3 > bytes.length) return bytes.length
    const header = bytes.readUIntLE(offset, 3)
    last = header % 2 === 1
    const type = Math.floor(header / 2) % 4
    // A run-length block is one byte, however long what it stands for.
    offset += 3 + (type === 1 ? 1 : Math.floor(header / 8))
  }
  return Math.min(bytes.length, offset + checksumBytes)
}
