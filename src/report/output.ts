/**
 * What a command says, and in which of three voices: text on a terminal, plain
 * lines elsewhere, or `--json` (one object per line on stdout, each with
 * `event`, the last one `result`). Progress and prose always go to stderr.
 *
 * Everything passes ../terminal-text.ts here: a name that somebody else chose
 * can neither command the terminal nor start a line of its own.
 */
import type { Progress, ReportProgress } from '../progress.ts'
import { quoteJson, quoteLine, quoteText } from '../terminal-text.ts'
import type { World } from '../world.ts'
import { type ProgressView, plainProgress, terminalProgress } from './progress-view.ts'

export interface OutputOptions {
  json: boolean
  quiet: boolean
}

export interface Output {
  readonly json: boolean
  /** A line of the answer, for people: to stdout; nothing under --json. */
  print(line: string): void
  /** As `print`, of several lines: whoever joined them quoted the names in them (`quoteLine`). */
  printText(text: string): void
  /** The answer as a file for another program: to stdout byte for byte, quoted only on a terminal; nothing under --json. */
  printFile(text: string): void
  /** A line worth knowing meanwhile: to stderr; nothing under --quiet. */
  note(line: string): void
  /** As `note`, of several lines. */
  noteText(text: string): void
  /** A line that may surprise: to stderr, always. */
  warn(line: string): void
  /** Why the command failed, in lines: to stderr, always. */
  fail(text: string): void
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
    world.stdout.write(`${quoteJson(JSON.stringify({ event, ...data }))}\n`)
  const jsonProgress = (progress: Progress) => {
    const key = `${progress.phase} ${progress.subject} ${progress.node ?? ''}`
    const done = progress.bytes === progress.totalBytes
    if (!done && now() - (jsonShownAt.get(key) ?? -Infinity) < JSON_PROGRESS_MS) return
    jsonShownAt.set(key, now())
    jsonLine('progress', progress)
  }
  const answer = (text: string) => {
    if (options.json) return
    view.clear()
    world.stdout.write(`${text}\n`)
  }
  const tell = (text: string) => {
    view.clear()
    world.stderr.write(`${text}\n`)
  }
  return {
    json: options.json,
    print: (line) => answer(quoteLine(line)),
    printText: (text) => answer(quoteText(text)),
    printFile: (text) => answer(world.stdout.isTTY === true ? quoteText(text) : text),
    note(line) {
      if (!options.quiet) tell(quoteLine(line))
    },
    noteText(text) {
      if (!options.quiet) tell(quoteText(text))
    },
    warn: (line) => tell(`warning: ${quoteLine(line)}`),
    fail: (text) => tell(quoteText(text)),
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
