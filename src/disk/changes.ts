/**
 * Changed ranges laid over a BlockReader: what makes a base image one node's
 * image. The base is never modified; `plan`, `flash`, `bake` and `inspect` all
 * start from the same Changes, so what is shown is what is written.
 */
import { SECTOR_BYTES } from '../units.ts'
import { type BlockReader, checkRange, type IntoReader, type Range, readInto } from './blocks.ts'

/** A BlockReader that can also be written to. */
export interface BlockEditor extends BlockReader {
  write(offset: number, bytes: Uint8Array): Promise<void>
}

export class Changes implements BlockEditor, IntoReader {
  readonly length: number
  readonly #base: BlockReader
  /** Whole sectors by sector number. */
  readonly #sectors = new Map<number, Uint8Array>()

  constructor(base: BlockReader) {
    this.#base = base
    this.length = base.length
  }

  /** How many sectors differ from the base, or were at least written. */
  get sectorCount(): number {
    return this.#sectors.size
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkRange(this, offset, length)
    if (this.#sectors.size === 0 || length === 0) return this.#base.read(offset, length)
    const result = new Uint8Array(length)
    await this.readInto(result, offset)
    return result
  }

  async readInto(into: Uint8Array, offset: number): Promise<void> {
    checkRange(this, offset, into.length)
    if (into.length === 0) return
    const first = Math.floor(offset / SECTOR_BYTES)
    const last = Math.floor((offset + into.length - 1) / SECTOR_BYTES)
    const changed = [...this.#touching(first, last)]
    // What is changed throughout needs nothing of a base that may still be growing.
    if (changed.length < last - first + 1) await readInto(this.#base, into, offset)
    for (const [number, bytes] of changed) {
      const at = number * SECTOR_BYTES
      const from = Math.max(at, offset)
      const to = Math.min(at + bytes.length, offset + into.length)
      into.set(bytes.subarray(from - at, to - at), from - offset)
    }
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    checkRange(this, offset, bytes.length)
    let done = 0
    while (done < bytes.length) {
      const at = offset + done
      const number = Math.floor(at / SECTOR_BYTES)
      const start = number * SECTOR_BYTES
      const size = Math.min(SECTOR_BYTES, this.length - start)
      const count = Math.min(start + size - at, bytes.length - done)
      let sector = this.#sectors.get(number)
      if (sector === undefined) {
        const fresh = count === size ? new Uint8Array(size) : (await this.#base.read(start, size)).slice()
        // Another write may have come first while the base was read.
        sector = this.#sectors.get(number) ?? fresh
        this.#sectors.set(number, sector)
      }
      sector.set(bytes.subarray(done, done + count), at - start)
      done += count
    }
  }

  /** The written ranges, in order, joined where they touch. */
  ranges(): Range[] {
    const numbers = [...this.#sectors.keys()].sort((a, b) => a - b)
    const ranges: Range[] = []
    for (const number of numbers) {
      const offset = number * SECTOR_BYTES
      const length = Math.min(SECTOR_BYTES, this.length - offset)
      const last = ranges.at(-1)
      if (last !== undefined && last.offset + last.length === offset) last.length += length
      else ranges.push({ offset, length })
    }
    return ranges
  }

  *#touching(first: number, last: number): Iterable<[number, Uint8Array]> {
    if (last - first < this.#sectors.size) {
      for (let number = first; number <= last; number += 1) {
        const bytes = this.#sectors.get(number)
        if (bytes !== undefined) yield [number, bytes]
      }
    } else {
      for (const [number, bytes] of this.#sectors)
        if (number >= first && number <= last) yield [number, bytes]
    }
  }
}
