/**
 * What the system refuses where nobody foresaw it: still the machine's state
 * and no bug. Whoever knows what was being done says it in better words.
 */

import { type Refusal, refusalOf } from './errno.ts'
import { UsageError } from './errors.ts'

const causes: Partial<Record<Refusal, { problem: string; hint: string }>> = {
  full: { problem: 'there is no room left', hint: 'Free some space, or name another folder.' },
  'read-only': {
    problem: 'the file system is read-only',
    hint: 'Name another folder, or mount it writable.',
  },
  denied: { problem: 'this may not be touched', hint: 'Check whose it is and its permissions.' },
  failing: { problem: "a drive can't be read or written", hint: 'It fails: see dmesg.' },
}

/** @returns undefined: not the system's word */
export function systemRefusal(error: unknown): UsageError | undefined {
  const { syscall, message } = error as Partial<NodeJS.ErrnoException>
  const refusal = syscall === undefined ? undefined : refusalOf(error)
  const cause = refusal && causes[refusal]
  return cause && new UsageError(`${cause.problem} (${message})`, { hint: cause.hint, cause: error })
}
