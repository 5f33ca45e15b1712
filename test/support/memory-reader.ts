import { type BlockReader, checkRange } from '../../src/disk/blocks.ts'

/** A reader over bytes in memory. */
export function memoryReader(bytes: Uint8Array): BlockReader {
  const reader = {
    length: bytes.length,
    async read(offset: number, length: number) {
      checkRange(reader, offset, length)
      return bytes.subarray(offset, offset + length)
    },
  }
  return reader
}
