/** The outside: what a test replaces, and the only way a command speaks to a person. */
import { fstatSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReadStream } from 'node:tty'
import { ClosedOutputError, InterruptedError, OutputError } from './errors.ts'
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

/** How long what was typed before is waited for: it is there already. */
const TYPED_BEFORE_MS = 50

export interface ProcessWorld extends World {
  /** Resolves when all that was said is written. @returns why it can't be; undefined: it is */
  said(): Promise<InterruptedError | undefined>
}

/**
 * The real one. The first SIGINT or SIGTERM asks for a clean stop, the second
 * ends the process. So does output that nobody reads any more, or that can't be
 * written. Started by another piimage (./thread-pool.ts), it also stops when
 * that one is gone.
 */
export function processWorld(): ProcessWorld {
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
  let unsaid: InterruptedError | undefined
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // Progress that nobody sees is no reason to leave a card half written.
      if (stream === process.stderr && error.code === 'EPIPE' && !isSameFile(1, 2)) return
      unsaid ??= whyUnsaid(error)
      stop.abort(unsaid)
    })
  const ask: World['ask'] = async (question, { hidden = false } = {}) => {
    if (!process.stdin.isTTY) return undefined
    await dropTyped(process.stdin)
    const shown = quoteText(question)
    if (hidden) process.stderr.write(shown)
    const lines = hidden
      ? createInterface({ input: process.stdin, output: nowhere(), terminal: true })
      : createInterface({ input: process.stdin, output: process.stderr })
    // While a question stands the terminal's Ctrl-C is a key like others.
    lines.on('SIGINT', onStop)
    // So does Ctrl-D: whoever ends the input has not chosen what stands there.
    lines.on('close', onStop)
    try {
      return await lines.question(hidden ? '' : shown, { signal: stop.signal })
    } catch {
      return undefined
    } finally {
      lines.off('close', onStop)
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
    async confirm(question) {
      const answer = await ask(`${question} [y/N] `)
      stop.signal.throwIfAborted()
      return /^y(es)?$/i.test(answer?.trim() ?? '')
    },
    signal: stop.signal,
    async said() {
      for (const stream of [process.stdout, process.stderr])
        await new Promise<void>((done) => void stream.write('', () => done()))
      return unsaid
    },
  }
}

function whyUnsaid(cause: NodeJS.ErrnoException): InterruptedError {
  if (cause.code === 'EPIPE') return new ClosedOutputError('stopped: nobody reads the output', { cause })
  return new OutputError(`stopped: the output can't be written (${cause.message})`, {
    hint: 'Free some space where it goes, or send it elsewhere.',
    cause,
  })
}

/** Whether two descriptors lead to one file or pipe, as after `2>&1`. */
function isSameFile(one: number, other: number): boolean {
  const [a, b] = [fstatSync(one), fstatSync(other)]
  return a.dev === b.dev && a.ino === b.ino
}

/**
 * What was typed before a question was on the screen is no answer to it. Raw
 * mode gives up a line that has no end yet, too.
 */
async function dropTyped(stdin: ReadStream): Promise<void> {
  const drop = (bytes: Buffer) => {
    // In raw mode the terminal makes no signal of it.
    if (bytes.includes(CTRL_C)) process.kill(process.pid, 'SIGINT')
  }
  stdin.setRawMode(true)
  stdin.on('data', drop)
  await sleep(TYPED_BEFORE_MS)
  stdin.off('data', drop)
  stdin.pause()
  stdin.setRawMode(false)
}

const CTRL_C = 3

/** Takes what is typed and shows none of it. */
const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })
