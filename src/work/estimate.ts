/** How long cards will take, said before the first byte: what is measured meanwhile comes after it. */
import { formatBytes, MiB } from '../units.ts'

/** Bytes a second: an ordinary card in an ordinary reader, writing and reading back. */
const WRITING = 20 * MiB
const READING = 40 * MiB

/**
 * @param lengths of the unpacked images, of those cards that are written at once
 * @returns a sentence; undefined: nothing is known
 */
export function estimate(lengths: readonly number[], { verify = true } = {}): string | undefined {
  const length = Math.max(0, ...lengths)
  if (length === 0) return undefined
  const minutes = Math.ceil((length / WRITING + (verify ? length / READING : 0)) / 60)
  const each = lengths.length === 1 ? '' : ' each'
  return `up to ${formatBytes(length)}${each} to write${verify ? ' and read back' : ''}: about ${minutes} min on an ordinary card; how long this one takes is shown once it runs`
}
