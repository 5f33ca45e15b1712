/**
 * Zeroes that a card holds already.
 *
 * Part of what a file system uses is zero (an empty journal, the unused end of
 * a FAT), and a new card is zero all over. Leaving zeroes out unseen would
 * leave a used card's old bytes in their place; but a card reads several times
 * faster than it writes, so whole MiB of zeroes are looked at first, and
 * written only where the card holds anything else.
 *
 * On a used card that costs a small read per block; one that holds zeroes at the
 * start of its blocks only would cost more, and after a few of those no block is
 * looked at any more. What is left unwritten is read back with the rest: a card
 * that is smaller than it claims may have put other bytes there since.
 */
import type { Range } from '../disk/blocks.ts'
import { alignUp, KiB, MiB } from '../units.ts'
import type { Target } from './target.ts'
import { readTarget, TargetFault } from './target-fault.ts'

/** What is looked at as one, at multiples of itself: what is left to write stays large and aligned. */
const BLOCK_BYTES = MiB
/** What of a block is read first. */
const SAMPLE_BYTES = 64 * KiB
/** Read in vain: a tenth of a second of a card's time. */
const MOST_WASTED_BYTES = 8 * MiB

const zeroes = Buffer.alloc(SAMPLE_BYTES)

export class ZeroBlocks {
  readonly #target: Target
  #wastedBytes = 0

  constructor(target: Target) {
    this.#target = target
  }

  /**
   * What of a request must be written.
   * @param bytes what is to stand there; used for reading meanwhile, and the same again afterwards
   * @returns parts of it in order, neighbours joined; none where the card holds all of it
   */
  async listMissing({ offset, length }: Range, bytes: Buffer): Promise<Range[]> {
    const missing: Range[] = []
    for (let at = offset; at < offset + length; ) {
      const end = Math.min(offset + length, alignUp(at + 1, BLOCK_BYTES))
      const block = bytes.subarray(at - offset, end - offset)
      const isThere = block.length === BLOCK_BYTES && isZero(block) && (await this.#isOnCard(block, at))
      const last = missing.at(-1)
      if (!isThere && last !== undefined && last.offset + last.length === at) last.length += block.length
      else if (!isThere) missing.push({ offset: at, length: block.length })
      at = end
    }
    return missing
  }

  /** @param block zeroes, before and after */
  async #isOnCard(block: Buffer, offset: number): Promise<boolean> {
    const { kind, direct } = this.#target
    // Through a cache a drive's answer may be about another medium. A new file's holes are holes.
    if (this.#wastedBytes >= MOST_WASTED_BYTES || (kind === 'drive' && !direct)) return false
    for (const [from, to] of [
      [0, SAMPLE_BYTES],
      [SAMPLE_BYTES, BLOCK_BYTES],
    ] as const) {
      const part = block.subarray(from, to)
      if (await this.#readsZero(part, offset + from)) continue
      this.#wastedBytes += to
      part.fill(0)
      return false
    }
    return true
  }

  async #readsZero(into: Buffer, offset: number): Promise<boolean> {
    try {
      await readTarget(this.#target, into, offset)
    } catch (error) {
      // What can't be read may still take being written; a card that is gone will say so then.
      if (error instanceof TargetFault) return false
      throw error
    }
    return isZero(into)
  }
}

function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += SAMPLE_BYTES) {
    const end = Math.min(bytes.length, at + SAMPLE_BYTES)
    if (bytes.compare(zeroes, 0, end - at, at, end) !== 0) return false
  }
  return true
}
