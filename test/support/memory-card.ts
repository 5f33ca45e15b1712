/** A card in memory, good or bad: what the engine does can be watched without a drive, root or FUSE. */
import type { Target } from '../../src/flash/target.ts'
import { KiB } from '../../src/units.ts'

/** It says what it was asked. */
export interface MemoryCard {
  target: Target
  bytes: Buffer
  written: number
  /** Where each write began, in order. */
  writes: number[]
  read: number
}

interface Faults {
  direct?: boolean
  /** The card has fewer bytes than it claims: what lies beyond starts again at its start. */
  realBytes?: number
  /** Reads that start here fail. */
  unreadable?: number
}

export function memoryCard(
  bytes: Buffer,
  { direct = true, realBytes = bytes.length, unreadable }: Faults = {},
): MemoryCard {
  const card: MemoryCard = {
    bytes,
    written: 0,
    writes: [],
    read: 0,
    target: {
      kind: 'drive',
      path: '/dev/card',
      length: bytes.length,
      direct,
      async read(into, offset) {
        if (offset === unreadable) throw Object.assign(new Error('unreadable'), { code: 'EIO' })
        card.read += into.length
        for (let at = 0; at < into.length; at += 4 * KiB) {
          const from = (offset + at) % realBytes
          bytes.copy(into, at, from, from + Math.min(4 * KiB, into.length - at))
        }
      },
      async write(from, offset) {
        card.written += from.length
        card.writes.push(offset)
        for (let at = 0; at < from.length; at += 4 * KiB)
          from.copy(bytes, (offset + at) % realBytes, at, Math.min(from.length, at + 4 * KiB))
      },
      flush: async () => {},
      commit: async () => {},
      close: async () => {},
    },
  }
  return card
}
