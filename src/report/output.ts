/**
 * What a command says, and in which of three voices: text on a terminal, plain
 * lines elsewhere, or `--json` (one object per line on stdout, each with
 * `event`, the last one `result`). Progress and prose always go to stderr.
 */
import type { Progress, ReportProgress } from '../progress.ts'
import type { World } from '../world.ts'
import { type ProgressView, plainProgress, terminalProgress } from './progress-view.ts'

export interface OutputOptions {
  json: boolean
  quiet: boolean
  color: boolean
}

export interface Output {
  readonly json: boolean
  /** Whether escape codes for colour may be used in `print`. */
  readonly color: boolean
  /** The answer, for people: to stdout; nothing under --json. */
  print(text: string): void
  /** Something worth knowing meanwhile: to stderr; nothing under --quiet. */
  note(text: string): void
  /** Something that may surprise: to stderr, always. */
  warn(text: string): void
  /** A line for programs: to stdout under --json; nothing else. */
  event(event: string, data?: object): void
  readonly progress: ReportProgress
  /** Leave the terminal as it was. */
  close(): void
}

/** At most this often per step, a `progress` event reaches --json readers. */
const JSON_PROGRESS_MS = 1000

export function createOutput(world: World, options: OutputOptions): Output {
  const now = () => world.now().getTime()
  const view: ProgressView =
    world.stderr.isTTY === true ? terminalProgress(world.stderr, now) : plainProgress(world.stderr, now)
  const jsonShownAt = new Map<string, number>()

  const jsonLine = (event: string, data: object) =>
    world.stdout.write(`${JSON.stringify({ event, ...data })}\n`)
  const jsonProgress = (progress: Progress) => {
    const key = `${progress.phase} ${progress.subject} ${progress.node ?? ''}`
    const done = progress.bytes === progress.totalBytes
    if (!done && now() - (jsonShownAt.get(key) ?? -Infinity) < JSON_PROGRESS_MS) return
    jsonShownAt.set(key, now())
    jsonLine('progress', progress)
  }
  const line = (text: string) => {
    view.clear()
    world.stderr.write(`${text}\n`)
  }
  return {
    json: options.json,
    color: options.color,
    print(text) {
      if (options.json) return
      view.clear()
      world.stdout.write(`${text}\n`)
    },
    note(text) {
      if (!options.quiet) line(text)
    },
    warn: (text) => line(`warning: ${text}`),
    event(event, data = {}) {
      if (options.json) jsonLine(event, data)
    },
    progress(progress) {
      if (options.json) jsonProgress(progress)
      else if (!options.quiet) view.show(progress)
    },
    close: () => view.clear(),
  }
}
