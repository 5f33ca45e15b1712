/** Asking again, with growing pauses and no chance in them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '../units.ts'
import { HttpFailure } from './http.ts'

export interface RetryPolicy {
  /** Failures in a row, without a MiB gained between them, before an address is given up. */
  attempts: number
  /** Doubled at each failure. */
  firstDelayMs: number
  maxDelayMs: number
}

export const defaultRetry: RetryPolicy = { attempts: 6, firstDelayMs: 500, maxDelayMs: 15_000 }

/**
 * @param gathered how many bytes there are by now: one that moves on may fail as often as it likes
 * @throws the last failure; one that isn't retryable at once; the signal's reason
 */
export async function retrying<T>(
  policy: RetryPolicy,
  signal: AbortSignal,
  attempt: () => Promise<T>,
  gathered: () => number = () => 0,
): Promise<T> {
  let failures = 0
  for (;;) {
    const before = gathered()
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof HttpFailure) || !error.retryable) throw error
      failures = gathered() - before >= MiB ? 1 : failures + 1
      if (failures >= policy.attempts) throw error
      const delay = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (failures - 1))
      await sleep(delay, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}
