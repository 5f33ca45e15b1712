/**
 * A file that is still being written from start to end, as a BlockReader:
 * whoever reads waits until the bytes are there.
 *
 * One writer says how far it has come (`grow`), any number of readers follow
 * behind that watermark, each at its own pace; none holds another, or the
 * writer. What lies below the mark never changes again. If the writer fails, so
 * does every read that waits, and every later one.
 */
import { open } from 'node:fs/promises'
import { checkRange, type IntoReader } from '../disk/blocks.ts'
import { readFully } from './file-reader.ts'
import { Watermark } from './watermark.ts'

export interface GrowingFile extends IntoReader {
  /** `bytes` from the start are there now. */
  grow(bytes: number): void
  /** No more bytes will come. */
  fail(error: unknown): void
  close(): Promise<void>
}

/**
 * @param path is opened at once, so it may be renamed later
 * @param length bytes it will have in the end
 */
export async function openGrowingFile(path: string, length: number): Promise<GrowingFile> {
  const handle = await open(path, 'r')
  const written = new Watermark()

  const file: GrowingFile = {
    length,
    grow: (bytes) => written.raise(bytes),
    fail: (error) => written.fail(error),
    async read(offset, count) {
      const bytes = Buffer.allocUnsafe(count)
      await file.readInto(bytes, offset)
      return bytes
    },
    async readInto(into, offset) {
      checkRange(file, offset, into.length)
      await written.reach(offset + into.length)
      await readFully(handle, path, into, offset)
    },
    close: () => handle.close(),
  }
  return file
}
