/**
 * Bytes at offsets: the one interface between images, drives and file systems.
 *
 * Units: `offset` and `length` are bytes, as plain numbers (exact below 2^53).
 * Never use `<<` or `|` on either: they wrap at 2 GiB. This module and its
 * neighbours open no file: an opened file, a growing cache file or a buffer is
 * handed in as a BlockReader.
 */
import { FormatError } from '../errors.ts'

export interface BlockReader {
  /** Size in bytes. */
  readonly length: number
  /**
   * Exactly `length` bytes from `offset`. The result may be a view of the
   * reader's own memory: do not write into it.
   * @throws {FormatError} the range does not lie inside the reader
   */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** A BlockReader that can fill the caller's own memory: one copy less, and no garbage. */
export interface IntoReader extends BlockReader {
  /** Fill `into` with the bytes from `offset`. @throws as `read` */
  readInto(into: Uint8Array, offset: number): Promise<void>
}

/** Fill `into` from `reader`, the short way where it has one. */
export async function readInto(
  reader: BlockReader | IntoReader,
  into: Uint8Array,
  offset: number,
): Promise<void> {
  if ('readInto' in reader) await reader.readInto(into, offset)
  else into.set(await reader.read(offset, into.length))
}

/** A run of bytes. */
export interface Range {
  offset: number
  length: number
}

/** @throws {FormatError} unless `offset … offset+length` lies inside `reader` */
export function checkRange(reader: { readonly length: number }, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= reader.length)) {
    throw new FormatError(
      `bytes ${offset} to ${offset + length} lie outside the ${reader.length} bytes there are`,
    )
  }
}

/** The part of `reader` from `offset`, as a reader of its own: a partition of an image. */
export function subReader(reader: BlockReader, offset: number, length: number): BlockReader {
  checkRange(reader, offset, length)
  const part = {
    length,
    async read(at: number, count: number) {
      checkRange(part, at, count)
      return reader.read(offset + at, count)
    },
  }
  return part
}

/**
 * Sort ranges, drop empty ones, and join those that touch, overlap, or lie at
 * most `gap` bytes apart.
 */
export function mergeRanges(ranges: readonly Range[], gap = 0): Range[] {
  const sorted = ranges.filter((r) => r.length > 0).sort((a, b) => a.offset - b.offset)
  const merged: Range[] = []
  for (const range of sorted) {
    const last = merged.at(-1)
    if (last !== undefined && range.offset <= last.offset + last.length + gap) {
      last.length = Math.max(last.length, range.offset + range.length - last.offset)
    } else {
      merged.push({ ...range })
    }
  }
  return merged
}
