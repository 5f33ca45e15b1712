/**
 * What every decoder of this room gives and takes.
 *
 * A decoder is pulled: it works only when the next chunk is asked for (the xz
 * one runs ahead by a fixed amount), so a slow reader slows it down and memory
 * stays bounded. Ending the loop early (`break`, an error) frees what it holds:
 * files, workers, programs.
 */
import type { FileHandle } from 'node:fs/promises'
import { FormatError } from '../errors.ts'
import { KiB, MiB } from '../units.ts'

/** The compressed file, open for reading. The one who opened it closes it. */
export interface PackedFile {
  path: string
  handle: FileHandle
  /** Bytes; of a file still being downloaded, those it will have. */
  size: number
  /** Resolves when the first `end` bytes are there; absent: all of them are. */
  reach?: (end: number) => Promise<void>
}

/** An image on its way out of its compressed file. */
export interface Decoding {
  /** Bytes of the image where the file says so beforehand; null where only the end tells. */
  totalBytes: number | null
  /**
   * The image in order, in chunks of any length. A chunk is good until the next is asked for.
   * @throws {FormatError} with file, format and byte offset
   */
  chunks: AsyncIterable<Uint8Array>
}

/** How much is read, decoded and handed on at a time. */
export const CHUNK_BYTES = 1 * MiB

const READ_BYTES = 256 * KiB

/** `length` bytes at `offset`, or as many as the file has there. */
export async function readUpTo(file: PackedFile, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, Math.min(length, file.size - offset)))
  await file.reach?.(offset + bytes.length)
  let done = 0
  while (done < bytes.length) {
    const { bytesRead } = await file.handle.read(bytes, done, bytes.length - done, offset + done)
    if (bytesRead === 0)
      throw new FormatError(`${file.path} became shorter while it was read, at byte ${offset + done}`)
    done += bytesRead
  }
  return bytes
}

/** The file's bytes from `offset` to `end` (exclusive), in pieces of its own memory each. */
export async function* readPieces(
  file: PackedFile,
  offset = 0,
  end = file.size,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  for (let at = offset; at < end; ) {
    signal?.throwIfAborted()
    const piece = await readUpTo(file, at, Math.min(READ_BYTES, end - at))
    at += piece.length
    yield piece
  }
}

/** The sentence for bytes that break their format. */
export function brokenFile(
  file: { path: string },
  format: string,
  offset: number,
  what: string,
  options: { hint?: string; cause?: unknown } = {},
): FormatError {
  return new FormatError(`${file.path} is a damaged ${format} file: ${what}, at byte ${offset}`, {
    hint: 'Download it again; if it stays so, the publisher’s file is broken.',
    ...options,
  })
}
