/**
 * What a card gave back instead of what was written, and what that looks like.
 *
 * Cards fail in a few typical ways: one that claims more than it has wraps
 * around (the start of the card holds what was meant for behind its real end)
 * or drops what lies beyond; a worn one flips bits or gives back zeroes.
 */
import type { BlockReader } from '../disk/blocks.ts'
import { DriveError } from '../errors.ts'
import { alignDown, formatBytes, KiB, MiB, SECTOR_BYTES } from '../units.ts'

export interface Difference {
  /** Of the first differing byte, from the start of the card. */
  offset: number
  /** To the last differing byte of the same damage. */
  length: number
  /** What the damage looks like, as half a sentence. */
  looksLike: string
  /** The card looks smaller than it claims: what is written here lands elsewhere. */
  isWrap: boolean
}

/** The card does not hold what was written. */
export class VerifyError extends DriveError {
  readonly drive: string
  readonly difference: Difference

  constructor(drive: string, difference: Difference, outcome: string) {
    const { offset, length, looksLike } = difference
    super(
      `${drive} differs from what was written in ${length} byte${length === 1 ? '' : 's'} at offset ${offset}: ${looksLike}; ${outcome}`,
      { hint: 'Use another card: the image itself was checked. If new cards fail too, try another reader.' },
    )
    this.drive = drive
    this.difference = difference
  }
}

/** Damage ends where this many bytes in a row are right again. */
const CALM_BYTES = SECTOR_BYTES

/** The first run of differing bytes, relative to the start of both; undefined: they are equal. */
export function findDifference(
  actual: Uint8Array,
  expected: Uint8Array,
): { offset: number; length: number } | undefined {
  if (Buffer.compare(actual, expected) === 0) return undefined
  let offset = 0
  while (actual[offset] === expected[offset]) offset += 1
  let last = offset
  for (let at = offset + 1; at < expected.length && at - last <= CALM_BYTES; at += 1)
    if (actual[at] !== expected[at]) last = at
  return { offset, length: last + 1 - offset }
}

/**
 * @param actual what was read, from byte `start` of the card
 * @param found where it differs, relative to `start`
 */
export async function describeDifference(
  actual: Uint8Array,
  expected: Uint8Array,
  start: number,
  found: { offset: number; length: number },
  image: BlockReader,
): Promise<Difference> {
  const bad = actual.subarray(found.offset, found.offset + found.length)
  const good = expected.subarray(found.offset, found.offset + found.length)
  const fewBits = describeFewBits(bad, good)
  const wrap = fewBits === undefined ? await describeWrap(actual, start, found.offset, image) : undefined
  return {
    offset: start + found.offset,
    length: found.length,
    looksLike:
      fewBits ?? wrap ?? describeUniform(bad) ?? 'it holds other data, perhaps what stood there before',
    isWrap: wrap !== undefined,
  }
}

function describeFewBits(bad: Uint8Array, good: Uint8Array): string | undefined {
  if (bad.length > 16) return undefined
  let bits = 0
  for (let at = 0; at < bad.length; at += 1)
    for (let rest = (bad[at] ?? 0) ^ (good[at] ?? 0); rest !== 0; rest &= rest - 1) bits += 1
  return bits <= 8 ? `${bits} bit${bits === 1 ? '' : 's'} flipped` : undefined
}

function describeUniform(bad: Uint8Array): string | undefined {
  if (bad.every((byte) => byte === 0)) return 'it reads as zeroes'
  if (bad.every((byte) => byte === 0xff)) return 'it reads as 0xff, like erased flash'
  return undefined
}

/** How many turns of a wrapped card are looked at, from the last one back (skipped ranges leave gaps). */
const MAX_TURNS = 64

/** Enough to be sure: single sectors repeat within an image, whole blocks that are not uniform hardly do. */
const WRAP_BYTES = 4 * KiB

/** Does the damaged block hold what belongs a power of two further on (or back)? */
async function describeWrap(
  actual: Uint8Array,
  start: number,
  offset: number,
  image: BlockReader,
): Promise<string | undefined> {
  const from = alignDown(offset, WRAP_BYTES)
  const block = actual.subarray(from, from + WRAP_BYTES)
  if (block.length < WRAP_BYTES || block.every((byte) => byte === block[0])) return undefined
  const place = start + from
  // From large to small: a multiple of the card's real size also matches with every smaller step.
  for (let turn = 2 ** Math.floor(Math.log2(image.length)); turn >= MiB; turn /= 2) {
    const home = place % turn
    const lastTurn = Math.floor((image.length - WRAP_BYTES - home) / turn)
    for (let number = lastTurn; number >= Math.max(0, lastTurn - MAX_TURNS); number -= 1) {
      const other = home + number * turn
      if (other === place) continue
      if (Buffer.compare(await image.read(other, WRAP_BYTES), block) === 0)
        return `it holds what belongs at offset ${other}, as on a card that has only ${formatBytes(turn)}`
    }
  }
  return undefined
}
