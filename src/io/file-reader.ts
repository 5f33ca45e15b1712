/** An open file or drive as a BlockReader, through the page cache. Reading past the cache is flash/direct-file.ts. */
import { type FileHandle, open } from 'node:fs/promises'
import { type BlockReader, checkRange } from '../disk/blocks.ts'
import { FormatError } from '../errors.ts'

export interface FileReader extends BlockReader {
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
      checkRange(reader, offset, count)
      return readFully(handle, path, offset, count)
    },
    close: () => handle.close(),
  }
  return reader
}

/** pread(2) until `length` bytes are there. */
async function readFully(
  handle: FileHandle,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done)
    if (bytesRead === 0)
      throw new FormatError(`${path} ends at byte ${offset + done}, ${length - done} bytes early`)
    done += bytesRead
  }
  return bytes
}
