/** An open file or drive as a BlockReader, through the page cache. Reading past the cache is flash/direct-file.ts. */
import { type FileHandle, open } from 'node:fs/promises'
import { checkRange, type IntoReader } from '../disk/blocks.ts'
import { FormatError } from '../errors.ts'

export interface FileReader extends IntoReader {
  readonly path: string
  close(): Promise<void>
}

/**
 * @param length bytes to offer; default: the file's size (0 for a block device: give its size)
 * @throws whatever open(2) says
 */
export async function openFileReader(path: string, length?: number): Promise<FileReader> {
  const handle = await open(path, 'r')
  const size = length ?? (await handle.stat()).size
  const reader: FileReader = {
    path,
    length: size,
    async read(offset, count) {
      const bytes = Buffer.allocUnsafe(count)
      await reader.readInto(bytes, offset)
      return bytes
    },
    async readInto(into, offset) {
      checkRange(reader, offset, into.length)
      await readFully(handle, path, into, offset)
    },
    close: () => handle.close(),
  }
  return reader
}

/** pread(2) until `into` is full. @throws {FormatError} the file ends before */
export async function readFully(
  handle: FileHandle,
  path: string,
  into: Uint8Array,
  offset: number,
): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await handle.read(into, done, into.length - done, offset + done)
    if (bytesRead === 0)
      throw new FormatError(`${path} ends at byte ${offset + done}, ${into.length - done} bytes early`)
    done += bytesRead
  }
}
