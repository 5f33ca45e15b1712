/**
 * Threads for many cards at once.
 *
 * Requests to drives wait in libuv's thread pool: four threads, unless
 * UV_THREADPOOL_SIZE says otherwise before the first of them starts. An ES
 * module is itself read by that pool, so the program can't raise it for itself:
 * for several cards it starts itself once more with more threads. Measured with
 * sixteen simulated cards: 22 s with 4 threads, 6 s with 64.
 */
import { spawn } from 'node:child_process'
import { ownProgram } from './own-program.ts'

const THREADS = 64
const NAME = 'UV_THREADPOOL_SIZE'

/** Whether nobody chose the number of threads, this program's start included. */
export const mayHaveMoreThreads = (env: Record<string, string | undefined>): boolean =>
  env[NAME] === undefined

/**
 * Run the same command line in a process with more threads. It gets the
 * signals that this one gets, and stops when this one is gone.
 * @returns its exit status
 */
export function runWithThreads(program: string, argv: readonly string[]): Promise<number> {
  const [command, ...args] = ownProgram(program, ...argv)
  const child = spawn(command, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [NAME]: String(THREADS) },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => void child.kill(signal))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (status, killedBy) => resolve(status ?? (killedBy === null ? 1 : 137)))
  })
}
