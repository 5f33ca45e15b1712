/** The outside: what a test replaces, and the only way a command speaks to a person. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { InterruptedError } from './errors.ts'
import { quoteText } from './terminal-text.ts'

export interface World {
  stdout: { write(text: string): unknown; isTTY?: boolean; columns?: number }
  stderr: { write(text: string): unknown; isTTY?: boolean; columns?: number }
  env: Record<string, string | undefined>
  cwd: string
  platform: NodeJS.Platform
  now: () => Date
  /** Ask a yes/no question on the terminal; false when nobody is there to answer. */
  confirm: (question: string) => Promise<boolean>
  /** Ask for a line of text, shown as it is typed unless `hidden`; undefined when nobody is there to answer. */
  ask: (question: string, options?: { hidden?: boolean }) => Promise<string | undefined>
  /** Aborted when the process is asked to stop. */
  signal: AbortSignal
}

/** A terminal and the process that started us may both pass on one and the same Ctrl-C. */
const SAME_SIGNAL_MS = 500

/**
 * The real one. The first SIGINT or SIGTERM asks for a clean stop, the second
 * ends the process. Started by another piimage (./thread-pool.ts), it also
 * stops when that one is gone.
 */
export function processWorld(): World {
  const stop = new AbortController()
  let stoppedAt = 0
  const onStop = () => {
    if (!stop.signal.aborted) {
      stoppedAt = performance.now()
      stop.abort(new InterruptedError('stopped'))
    } else if (performance.now() - stoppedAt > SAME_SIGNAL_MS) process.exit(130)
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onStop)
  process.on('disconnect', onStop)
  // Listening must not keep the process alive.
  process.channel?.unref()
  const ask: World['ask'] = async (question, { hidden = false } = {}) => {
    if (!process.stdin.isTTY) return undefined
    const shown = quoteText(question)
    if (hidden) process.stderr.write(shown)
    const lines = hidden
      ? createInterface({ input: process.stdin, output: nowhere(), terminal: true })
      : createInterface({ input: process.stdin, output: process.stderr })
    try {
      return await lines.question(hidden ? '' : shown, { signal: stop.signal })
    } catch {
      return undefined
    } finally {
      lines.close()
      if (hidden) process.stderr.write('\n')
    }
  }
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    platform: process.platform,
    now: () => new Date(),
    ask,
    confirm: async (question) => /^y(es)?$/i.test((await ask(`${question} [y/N] `))?.trim() ?? ''),
    signal: stop.signal,
  }
}

/** Takes what is typed and shows none of it. */
const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })
