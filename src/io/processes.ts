/** Other processes of this machine, as Linux shows them; elsewhere nothing is known of them but their number. */
import { readFileSync } from 'node:fs'

/**
 * When a process started, in the kernel's words; '' where that can't be known,
 * and of one that has ended and whose parent has not looked: in a container
 * that may be for ever.
 * Source: proc_pid_stat(5), fields 3 and 22; the name before them may hold spaces and brackets.
 */
export function startOfProcess(pid: number): string {
  const fields = readProcess(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ')
  return hasEnded(fields[0]) ? '' : (fields[19] ?? '')
}

/** Whether a process of that number runs, whoever's it is. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const [state] = readProcess(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ')
  return !hasEnded(state)
}

/** Path of the program as it was called; undefined where that can't be known. */
export const programOf = (pid: number): string | undefined =>
  readProcess(pid, 'cmdline').split('\0')[0] || undefined

/** Zombie, dead. */
const hasEnded = (state: string | undefined): boolean => state === 'Z' || state === 'X'

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
