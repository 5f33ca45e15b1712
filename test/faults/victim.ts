/** piimage as a process of its own, to be killed, stopped, or run beside another one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageRoot } from '../../src/package-root.ts'

const PROGRAM = join(packageRoot(), 'build/src/cli.js')
const HALT = join(import.meta.dirname, 'halt.js')

export interface VictimOptions {
  cwd: string
  /** A program and its words that become piimage: `nsenter --net=…`. */
  within?: readonly string[]
  /** SIGKILL this long after it was started. */
  killAfterMs?: number
  /** SIGKILL as it makes this system call for the `when`th time in one of its threads. */
  killAt?: { call: string; when: number }
  /** SIGSTOP right after it has said this, for the first time. */
  haltAt?: RegExp
  /** Told of all it says, as it says it. */
  onText?: (text: string, victim: Victim) => void
  env?: Record<string, string>
}

export interface Victim {
  process: ChildProcess
  /** What it said on both streams so far. */
  said(): string
  ended: Promise<Death>
}

export interface Death {
  /** By our SIGKILL, before it ended by itself. */
  killed: boolean
  /** null: killed. */
  status: number | null
  said: string
  /** From start to end. */
  ms: number
}

export function startVictim(words: readonly string[], options: VictimOptions): Victim {
  const mark = randomUUID()
  const { killAfterMs, killAt, haltAt } = options
  const command = [process.execPath, ...(haltAt === undefined ? [] : ['--import', HALT]), PROGRAM, ...words]
  const traced =
    killAt === undefined
      ? []
      : [
          ...['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', `trace=${killAt.call}`],
          ...['-e', `inject=${killAt.call}:signal=KILL:when=${killAt.when}`],
        ]
  const [program = '', ...args] = [...(options.within ?? []), ...traced, ...command]
  const started = performance.now()
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: {
      PATH: process.env.PATH,
      HOME: options.cwd,
      LC_ALL: 'C',
      ...(haltAt === undefined ? {} : { PIIMAGE_TEST_HALT_AT: haltAt.source }),
      ...options.env,
      [MARK]: mark,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const victim: Victim = {
    process: child,
    said: () => said,
    ended: new Promise((resolve, reject) => {
      child.on('error', reject)
      // Not `close`: a child of a killed one may hold the streams.
      child.on('exit', async (status, signal) => {
        const ms = performance.now() - started
        clearTimeout(timer)
        await allGone(mark).catch(reject)
        resolve({ killed: signal === 'SIGKILL', status, said, ms })
      })
    }),
  }
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      options.onText?.(text, victim)
    })
  return victim
}

export const runVictim = (words: readonly string[], options: VictimOptions): Promise<Death> =>
  startVictim(words, options).ended

/** In the environment of a process and of all that it starts. */
const MARK = 'PIIMAGE_TEST_MARK'
const PATIENCE_MS = 30_000

/** @throws {Error} a process that a dead one started is still there */
async function allGone(mark: string): Promise<void> {
  for (const started = performance.now(); ; ) {
    const left = marked(mark)
    if (left.length === 0) return
    if (performance.now() - started > PATIENCE_MS) throw new Error(`still there: ${left.join(', ')}`)
    await sleep(10)
  }
}

function marked(mark: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readOf(pid, 'environ').includes(`${MARK}=${mark}`))
    .map((pid) => `${pid} (${readOf(pid, 'cmdline').replaceAll('\0', ' ')})`)
}

/** A process may end while it is looked at; a zombie has no environment. */
function readOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
