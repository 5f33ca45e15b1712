/**
 * A board played by QEMU: power, console, reboots.
 *
 * When the guest restarts, QEMU ends (-no-reboot) and is started again with
 * what the firmware finds *then*: so a first-boot trigger that was not taken
 * out is seen to run again. Nothing of it is left when this process ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { NetrootError, UsageError } from '../errors.ts'
import { searchPath } from '../io/run-program.ts'
import { RESTARTS } from './console.ts'

export interface GuestOptions {
  /** Program and arguments for the next power-on: what the firmware finds now. */
  firmware: () => Promise<readonly string[]> | readonly string[]
  /** Each piece of the serial console as it comes, and what QEMU itself says. */
  onConsole: (text: string) => void
}

/** A system that restarts and restarts is never up. */
const MOST_BOOTS = 5

export class Guest {
  /** How often the power came on or the system restarted. */
  boots = 0
  readonly #options: GuestOptions
  #qemu: ChildProcess | undefined
  #stopping = false
  #over: Error | 'off' | undefined
  #off: Promise<void> = Promise.resolve()
  #last = ''

  /** The power is off. */
  constructor(options: GuestOptions) {
    this.#options = options
  }

  /** Switch the power on. */
  start(): void {
    this.#stopping = false
    this.#over = undefined
    this.boots = 0
    this.#off = this.#powered()
    // A rejection is reported by whoever waits; until then it must not end the process.
    this.#off.then(
      () => (this.#over = 'off'),
      (error: Error) => (this.#over = error),
    )
  }

  /** Resolves when it is off; rejects when it stopped without shutting down. */
  get off(): Promise<void> {
    return this.#off
  }

  /** One QEMU after another until the guest powers off. */
  async #powered(): Promise<void> {
    for (;;) {
      const [program = '', ...words] = await this.#options.firmware()
      if (this.#stopping) return
      this.boots += 1
      const code = await this.#run(program, words)
      if (this.#stopping || this.#last.includes('reboot: Power down')) return
      if (code !== 0 || !RESTARTS.test(this.#last))
        throw new NetrootError(`it stopped without shutting down; last said: ${lastLine(this.#last)}`)
      if (this.boots === MOST_BOOTS) throw new NetrootError(`it restarted ${MOST_BOOTS} times in a row`)
    }
  }

  async #run(program: string, words: readonly string[]): Promise<number | null> {
    const env = { ...process.env, PATH: searchPath(process.env.PATH) }
    const qemu = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], env })
    this.#qemu = qemu
    this.#last = ''
    const kill = () => qemu.kill('SIGKILL')
    process.once('exit', kill)
    const hear = (text: string) => {
      this.#last = (this.#last + text).slice(-4000)
      this.#options.onConsole(text)
    }
    qemu.stdout.setEncoding('utf8').on('data', hear)
    qemu.stderr.setEncoding('utf8').on('data', (text: string) => hear(`qemu: ${text}`))
    try {
      const [code] = (await once(qemu, 'close')) as [number | null]
      return code
    } catch (cause) {
      throw new UsageError(`${program} can't be started: ${(cause as Error).message}`, { cause })
    } finally {
      process.removeListener('exit', kill)
      this.#qemu = undefined
    }
  }

  /**
   * Look again until something is so.
   * @param give up after this long; undefined: never
   * @throws what ended the guest meanwhile, or `NetrootError`: the time is over
   */
  async until(
    what: string,
    isSo: () => Promise<boolean> | boolean,
    { deadlineMs, signal }: { deadlineMs: number; signal: AbortSignal },
  ): Promise<void> {
    const end = performance.now() + deadlineMs
    while (!(await isSo())) {
      signal.throwIfAborted()
      if (this.#over instanceof Error) throw this.#over
      if (this.#over === 'off') throw new NetrootError(`it switched itself off before ${what}`)
      if (performance.now() > end)
        throw new NetrootError(
          `${what}: not within ${Math.round(deadlineMs / 60_000)} minutes; last said: ${lastLine(this.#last)}`,
        )
      await sleep(1000, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }

  /** Cut the power, and wait until nothing of it runs. */
  async kill(): Promise<void> {
    this.#stopping = true
    this.#qemu?.kill('SIGKILL')
    await this.#off.catch(() => {})
  }
}

const lastLine = (text: string): string =>
  text
    .split(/[\r\n]+/)
    .findLast((line) => line.trim() !== '')
    ?.trim() ?? 'nothing'
