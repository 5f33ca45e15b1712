/**
 * Where clusters lie in the volume, and reading and writing runs of them.
 *
 * Neighbouring clusters are one range, so a file in one piece is one read.
 */
import { alignUp, SECTOR_BYTES } from '../../units.ts'
import type { BlockReader, Range } from '../blocks.ts'
import type { BlockEditor } from '../changes.ts'
import type { FatGeometry } from './boot-sector.ts'

export class ClusterStore {
  readonly #blocks: BlockReader
  readonly #geometry: FatGeometry

  constructor(blocks: BlockReader, geometry: FatGeometry) {
    this.#blocks = blocks
    this.#geometry = geometry
  }

  /** The bytes of the volume these clusters occupy, in their order, neighbours joined. */
  ranges(clusters: readonly number[]): Range[] {
    const { dataOffset, clusterBytes } = this.#geometry
    const ranges: Range[] = []
    for (const cluster of clusters) {
      const offset = dataOffset + (cluster - 2) * clusterBytes
      const last = ranges.at(-1)
      if (last !== undefined && last.offset + last.length === offset) last.length += clusterBytes
      else ranges.push({ offset, length: clusterBytes })
    }
    return ranges
  }

  /** The first `length` bytes of these ranges. */
  async read(ranges: readonly Range[], length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    let done = 0
    for (const range of ranges) {
      const count = Math.min(range.length, length - done)
      if (count === 0) break
      bytes.set(await this.#blocks.read(range.offset, count), done)
      done += count
    }
    return bytes
  }

  /**
   * Lay a file's bytes into clusters that were free before: every sector it
   * needs is written, even where the base holds the same bytes, because whoever
   * skips the base's free clusters won't copy them.
   */
  async writeNew(editor: BlockEditor, ranges: readonly Range[], bytes: Uint8Array): Promise<void> {
    for (const { offset, part } of cutAlong(ranges, bytes)) await editor.write(offset, padSector(part))
  }

  /**
   * Lay a file's bytes over its old clusters: only the sectors that differ are
   * written. What lies behind the file's end counts for nothing.
   */
  async writeChanged(editor: BlockEditor, ranges: readonly Range[], bytes: Uint8Array): Promise<void> {
    for (const { offset, part } of cutAlong(ranges, bytes)) {
      const old = await this.#blocks.read(offset, part.length)
      for (let at = 0; at < part.length; at += SECTOR_BYTES) {
        const sector = part.subarray(at, at + SECTOR_BYTES)
        if (Buffer.compare(sector, old.subarray(at, at + SECTOR_BYTES)) === 0) continue
        await editor.write(offset + at, padSector(sector))
      }
    }
  }
}

function* cutAlong(
  ranges: readonly Range[],
  bytes: Uint8Array,
): Iterable<{ offset: number; part: Uint8Array }> {
  let done = 0
  for (const range of ranges) {
    if (done >= bytes.length) return
    yield { offset: range.offset, part: bytes.subarray(done, done + range.length) }
    done += range.length
  }
}

/** Zeros up to a whole number of sectors. */
function padSector(bytes: Uint8Array): Uint8Array {
  if (bytes.length % SECTOR_BYTES === 0) return bytes
  const padded = new Uint8Array(alignUp(bytes.length, SECTOR_BYTES))
  padded.set(bytes)
  return padded
}
