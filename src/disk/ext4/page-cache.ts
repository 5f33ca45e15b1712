/**
 * Pages of the volume kept in memory: inode tables, directories and extent
 * blocks are read again and again, a few hundred bytes at a time, and most
 * files are smaller than a page and lie beside each other.
 *
 * Pages are aligned; the least recently used goes first. What crosses a page
 * is read directly, so that large reads cost no memory here.
 */
import { KiB } from '../../units.ts'
import { type BlockReader, checkRange } from '../blocks.ts'

export interface PageCacheSize {
  pageBytes: number
  pages: number
}

/** 8 MiB in all. */
export const METADATA_PAGES: PageCacheSize = { pageBytes: 32 * KiB, pages: 256 }
/** 4 MiB in all. Long pages: the next file is mostly the next one on the volume. */
export const CONTENT_PAGES: PageCacheSize = { pageBytes: 256 * KiB, pages: 16 }

export class PageCache implements BlockReader {
  readonly length: number
  readonly #blocks: BlockReader
  readonly #size: PageCacheSize
  /** By page number; a Map keeps the order of insertion, so the first is the oldest. */
  readonly #pages = new Map<number, Buffer>()

  constructor(blocks: BlockReader, size: PageCacheSize) {
    this.#blocks = blocks
    this.#size = size
    this.length = blocks.length
  }

  /** Do not write into the result: it is the cache. @throws {FormatError} outside the volume */
  async read(offset: number, length: number): Promise<Buffer> {
    checkRange(this, offset, length)
    const { pageBytes } = this.#size
    const number = Math.floor(offset / pageBytes)
    const start = offset - number * pageBytes
    if (start + length > pageBytes) return asBuffer(await this.#blocks.read(offset, length))
    const page = this.#pages.get(number) ?? (await this.#load(number))
    this.#pages.delete(number)
    this.#pages.set(number, page)
    return page.subarray(start, start + length)
  }

  async #load(number: number): Promise<Buffer> {
    const { pageBytes, pages } = this.#size
    const offset = number * pageBytes
    const page = asBuffer(await this.#blocks.read(offset, Math.min(pageBytes, this.length - offset)))
    const oldest = this.#pages.size >= pages ? this.#pages.keys().next().value : undefined
    if (oldest !== undefined) this.#pages.delete(oldest)
    return page
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
