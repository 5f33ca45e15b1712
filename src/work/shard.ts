/** `--shard I/N`: which of the nodes this run takes, so that N runs on N machines take each node once. */
import { UsageError } from '../errors.ts'

export interface Shard {
  /** 1 to count. */
  index: number
  count: number
}

/** @throws {UsageError} anything but `I/N` with 1 ≤ I ≤ N */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text)?.map(Number) ?? []
  if (index === undefined || count === undefined || index < 1 || index > count) {
    throw new UsageError(`--shard ${text} is no share of the nodes`, {
      hint: '--shard I/N is the Ith of N shares, counted from 1: --shard 2/8',
    })
  }
  return { index, count }
}

/** Every Nth, so that the shares' sizes differ by one at most. */
export const takeShard = <T>(items: readonly T[], { index, count }: Shard): T[] =>
  items.filter((_, at) => at % count === index - 1)
