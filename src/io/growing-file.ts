/**
 * A file that is still being written from start to end, as a BlockReader:
 * whoever reads waits until the bytes are there.
 *
 * One writer says how far it has come (`grow`), any number of readers follow
 * behind that mark, each at its own pace; none holds another, or the writer.
 * What lies below the mark never changes again. If the writer fails, so does
 * every read that waits, and every later one.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { checkRange, type IntoReader } from '../disk/blocks.ts'
import { readFully } from './file-reader.ts'
import { Mark } from './mark.ts'

export interface GrowingFile extends IntoReader {
  readonly path: string
  /** `bytes` from the start are there now. */
  grow(bytes: number): void
  /** Resolves when the file is open, so that it may be renamed. */
  opened(): Promise<void>
  /** No more bytes will come. */
  fail(error: unknown): void
  close(): Promise<void>
}

/**
 * @param path is opened when its first bytes are there, so it may not exist yet
 * @param length bytes it will have in the end
 */
export function openGrowingFile(path: string, length: number): GrowingFile {
  const mark = new Mark()
  let handle: Promise<FileHandle> | undefined

  const file: GrowingFile = {
    path,
    length,
    grow(bytes) {
      if (handle === undefined) {
        handle = open(path, 'r')
        // Whoever reads is told.
        handle.catch(() => {})
      }
      mark.move(bytes)
    },
    fail: (error) => mark.fail(error),
    async read(offset, count) {
      const bytes = Buffer.allocUnsafe(count)
      await file.readInto(bytes, offset)
      return bytes
    },
    async readInto(into, offset) {
      checkRange(file, offset, into.length)
      await mark.reach(offset + into.length)
      if (handle !== undefined) await readFully(await handle, path, into, offset)
    },
    async opened() {
      await handle
    },
    async close() {
      await (await handle)?.close()
    },
  }
  return file
}
