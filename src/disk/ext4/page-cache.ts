/**
 * A small cache of the volume's metadata: inode tables, directories and extent
 * blocks are read again and again, a few hundred bytes at a time.
 *
 * Pages are aligned runs of 32 KiB; the least recently used goes first. File
 * contents do not pass through here, they would only push metadata out.
 */
import { KiB } from '../../units.ts'
import { type BlockReader, checkRange } from '../blocks.ts'

const PAGE_BYTES = 32 * KiB
/** 8 MiB in all. */
const PAGES = 256

export class PageCache implements BlockReader {
  readonly length: number
  readonly #blocks: BlockReader
  /** By page number; a Map keeps insertion order, so the first is the oldest. */
  readonly #pages = new Map<number, Buffer>()

  constructor(blocks: BlockReader) {
    this.#blocks = blocks
    this.length = blocks.length
  }

  /** Do not write into the result: it is the cache. @throws {FormatError} outside the volume */
  async read(offset: number, length: number): Promise<Buffer> {
    checkRange(this, offset, length)
    const first = Math.floor(offset / PAGE_BYTES)
    const start = offset - first * PAGE_BYTES
    if (start + length <= PAGE_BYTES) {
      const page = this.#pages.get(first) ?? (await this.#load(first))
      return page.subarray(start, start + length)
    }
    const bytes = await this.#blocks.read(offset, length)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  async #load(number: number): Promise<Buffer> {
    const offset = number * PAGE_BYTES
    const bytes = await this.#blocks.read(offset, Math.min(PAGE_BYTES, this.length - offset))
    const page = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    const oldest = this.#pages.size >= PAGES ? this.#pages.keys().next().value : undefined
    if (oldest !== undefined) this.#pages.delete(oldest)
    this.#pages.set(number, page)
    return page
  }
}
