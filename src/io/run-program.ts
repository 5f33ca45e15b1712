/** Programs of the system, run to their end. */
import { spawn } from 'node:child_process'

/** The status of a program that isn't there, as a shell says it. */
export const NO_PROGRAM = 127

export interface Ran {
  /** {@link NO_PROGRAM}: it isn't there. */
  status: number
  stdout: string
  stderr: string
}

/** What a test may replace; arguments are passed as they are, no shell sees them. */
export type RunProgram = (
  program: string,
  args: readonly string[],
  options?: { env?: Record<string, string>; signal?: AbortSignal },
) => Promise<Ran>

/** Where Debian keeps daemons, which people who are not root often lack. */
const SYSTEM_PATH = '/usr/sbin:/sbin:/usr/bin:/bin'

/** Where programs are looked for. An empty entry would be the current folder. */
export const searchPath = (path = ''): string =>
  [...path.split(':').filter((folder) => folder !== ''), SYSTEM_PATH].join(':')

/** @throws the signal's reason, after the program has been stopped */
export const runProgram: RunProgram = async (program, args, { env = {}, signal } = {}) => {
  signal?.throwIfAborted()
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: searchPath(process.env.PATH), LC_ALL: 'C', ...env },
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text
    })
  const stop = (): void => void child.kill()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const status = await new Promise<number>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'ENOENT' ? resolve(NO_PROGRAM) : reject(error),
      )
      child.once('close', (code) => resolve(code ?? 1))
    })
    signal?.throwIfAborted()
    return { status, ...output }
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/** What a program said, for the end of a sentence. */
export const complaintOf = ({ stdout, stderr, status }: Ran): string =>
  (stderr.trim() || stdout.trim() || `status ${status}`).split('\n').slice(0, 5).join('; ')
