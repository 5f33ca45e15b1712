/**
 * Block maps: which blocks of an image hold data, each range with its digest,
 * so that bmaptool (and everything that reads its files) can skip the rest.
 *
 * Source: the bmap format, version 2.0, as bmaptool documents it in the files
 * it writes: block numbers are inclusive ("first-last"), and the file's own
 * checksum is taken with 64 zeroes in its place.
 */
import { createHash } from 'node:crypto'
import { mergeRanges, type Range } from '../disk/blocks.ts'
import { alignDown, alignUp } from '../units.ts'

export const BMAP_BLOCK_BYTES = 4096

/** Used ranges widened to whole blocks of a `length`-byte image. */
export function mappedRanges(used: readonly Range[], length: number): Range[] {
  const blocks = used.map((range) => {
    const offset = alignDown(range.offset, BMAP_BLOCK_BYTES)
    const end = Math.min(alignUp(range.offset + range.length, BMAP_BLOCK_BYTES), length)
    return { offset, length: end - offset }
  })
  return mergeRanges(blocks)
}

/** Digests of consecutive ranges, taken from bytes that come by in order. */
export class RangeDigests {
  readonly #ranges: readonly Range[]
  readonly #digests: string[] = []
  #hash = createHash('sha256')

  constructor(ranges: readonly Range[]) {
    this.#ranges = ranges
  }

  /** Take `bytes`, which lie at `offset`; call with every byte of the image, in order. */
  update(offset: number, bytes: Uint8Array): void {
    let range = this.#ranges[this.#digests.length]
    while (range !== undefined && range.offset < offset + bytes.length) {
      const from = Math.max(range.offset, offset)
      const end = range.offset + range.length
      const to = Math.min(end, offset + bytes.length)
      this.#hash.update(bytes.subarray(from - offset, to - offset))
      if (to < end) return
      this.#digests.push(this.#hash.digest('hex'))
      this.#hash = createHash('sha256')
      range = this.#ranges[this.#digests.length]
    }
  }

  /** One digest per range, in order. */
  digests(): readonly string[] {
    return this.#digests
  }
}

/** The text of a .bmap file for an image of `length` bytes. */
export function formatBmap(length: number, ranges: readonly Range[], digests: readonly string[]): string {
  const mapped =
    ranges.reduce((sum, range) => sum + alignUp(range.length, BMAP_BLOCK_BYTES), 0) / BMAP_BLOCK_BYTES
  const rows = ranges.map((range, index) => {
    const first = range.offset / BMAP_BLOCK_BYTES
    const last = alignUp(range.offset + range.length, BMAP_BLOCK_BYTES) / BMAP_BLOCK_BYTES - 1
    return `        <Range chksum="${digests[index]}"> ${first === last ? first : `${first}-${last}`} </Range>`
  })
  const text = (checksum: string) =>
    `${[
      '<?xml version="1.0" ?>',
      '<bmap version="2.0">',
      `    <ImageSize> ${length} </ImageSize>`,
      `    <BlockSize> ${BMAP_BLOCK_BYTES} </BlockSize>`,
      `    <BlocksCount> ${alignUp(length, BMAP_BLOCK_BYTES) / BMAP_BLOCK_BYTES} </BlocksCount>`,
      `    <MappedBlocksCount> ${mapped} </MappedBlocksCount>`,
      '    <ChecksumType> sha256 </ChecksumType>',
      `    <BmapFileChecksum> ${checksum} </BmapFileChecksum>`,
      '    <BlockMap>',
      ...rows,
      '    </BlockMap>',
      '</bmap>',
    ].join('\n')}\n`
  return text(
    createHash('sha256')
      .update(text('0'.repeat(64)))
      .digest('hex'),
  )
}
