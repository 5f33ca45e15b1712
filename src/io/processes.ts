/** Other processes of this machine, as Linux shows them; elsewhere nothing is known of them but their number. */
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

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

/** Where this process's number means something: host name, boot and process namespace. */
export function processPlace(): string {
  let namespace = ''
  try {
    namespace = readlinkSync('/proc/self/ns/pid')
  } catch {
    // Not Linux: process numbers are the machine's.
  }
  return [hostname(), readText('/proc/sys/kernel/random/boot_id').trim(), namespace].join(' ')
}

/** Zombie, dead. */
const hasEnded = (state: string | undefined): boolean => state === 'Z' || state === 'X'

const readProcess = (pid: number, file: string): string => readText(`/proc/${pid}/${file}`)

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
