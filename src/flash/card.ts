/** What the engine is told about one card, and what it says of it afterwards. */
import type { BlockReader, Range } from '../disk/blocks.ts'
import { MiB } from '../units.ts'
import { REQUEST_BYTES } from './requests.ts'
import type { Target } from './target.ts'

/** Ranges that become known one by one, in order. */
export interface RangeSource extends AsyncIterable<Range> {
  /** All of them, once they are known. */
  readonly known: readonly Range[] | undefined
}

export interface CardRequest {
  /** Opened by `openDriveTarget` or `openFileTarget`; the caller closes it. */
  target: Target
  /** One node's image: a base with the node's Changes over it. */
  image: BlockReader
  /** What must be written, from the file systems' own free maps; a list in any order, any alignment. */
  ranges: readonly Range[] | RangeSource
  /** Resolves when the image's whole digest chain holds; awaited before the first MiB is written. */
  verified: () => Promise<void>
  /** Read back and compare. */
  verify: boolean
  /** Read the card first, and write only what differs. Default false. */
  changedOnly?: boolean
  /** Whole MiB of zeroes are written only where the card holds anything else (./zero-blocks.ts). Default true. */
  skipZeroes?: boolean
  /** First find out whether the card holds what it announces (./probe.ts); not with `changedOnly`. Default false. */
  probe?: boolean
  /** How often a range that reads back wrong is written again. Default 2. */
  retries?: number
  /** The most bytes of one request: a power of two, at least 64 KiB. Default 4 MiB. */
  requestBytes?: number
  /** Whose card it is, for progress. */
  node?: string
}

export interface CardReport {
  /** The drive's or the file's path. */
  drive: string
  bytesWritten: number
  /** Bytes of the image that were not written, because nothing needs them or they were there already. */
  bytesSkipped: number
  /** Of those, what must be zero, and was when it was read. */
  bytesFoundZero: number
  /** Bytes read back after writing, and found equal. */
  bytesVerified: number
  /** Bytes read before writing, with `changedOnly`. */
  bytesCompared: number
  /** Of marks, with `probe`. */
  bytesProbed: number
  /** Whether writing and reading back went past the page cache. */
  direct: boolean
  /** Contiguous runs written, the first MiB included. */
  rangesWritten: number
  /** Ranges that read back wrong, were written again, and are right now. */
  rangesRepaired: Range[]
  seconds: { write: number; verify: number; total: number }
}

/** How many requests a drive is given at once: the second hides the pause between two. */
export const CONCURRENCY = 2

/** Many cards share this: their requests then become smaller, down to what drives still like. */
const BUFFER_BYTES = 64 * MiB
const LEAST_REQUEST_BYTES = MiB

/**
 * How large the requests of one of `cards` cards at once may be, so that memory is bounded.
 * @param queueBytes what its drive takes at once (./queue-limits.ts)
 */
export function requestBytesFor(cards: number, queueBytes = Number.POSITIVE_INFINITY): number {
  const mostBytes = Math.min(BUFFER_BYTES / cards, queueBytes) / CONCURRENCY
  let bytes = REQUEST_BYTES
  while (bytes > LEAST_REQUEST_BYTES && bytes > mostBytes) bytes /= 2
  return bytes
}
