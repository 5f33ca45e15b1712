/**
 * What the system refuses where nobody foresaw it: still the machine's state
 * and no bug. Whoever knows what was being done says it in better words.
 */
import { UsageError } from './errors.ts'

const causes: Readonly<Record<string, { problem: string; hint: string }>> = {
  ENOSPC: { problem: 'there is no room left', hint: 'Free some space, or name another folder.' },
  EDQUOT: { problem: 'there is no room left', hint: 'Free some space, or name another folder.' },
  EROFS: { problem: 'the file system is read-only', hint: 'Name another folder, or mount it writable.' },
  EACCES: { problem: 'this may not be touched', hint: 'Check whose it is and its permissions.' },
  EPERM: { problem: 'this may not be touched', hint: 'Check whose it is and its permissions.' },
  EIO: { problem: "a drive can't be read or written", hint: 'It fails: see dmesg.' },
}

/** @returns undefined: not the system's word */
export function systemRefusal(error: unknown): UsageError | undefined {
  const { code, syscall, message } = error as Partial<NodeJS.ErrnoException>
  const cause = syscall === undefined ? undefined : causes[code ?? '']
  return cause && new UsageError(`${cause.problem} (${message})`, { hint: cause.hint, cause: error })
}
