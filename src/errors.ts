/**
 * Every failure a person can act on: `message` says what is wrong and where,
 * `hint` says what to do next. Code decides by class, never by reading text.
 * Anything else that reaches cli.ts, and is not the system's refusal
 * (./system-refusal.ts), is a bug in piimage and is shown with its
 * stack (exit status 1).
 *
 * Both are safe on a terminal wherever they are shown: names in them that
 * somebody else chose are quoted here.
 */
import { quoteLine } from './terminal-text.ts'

export interface ErrorOptions {
  /** One sentence: the next thing to do, with the command where there is one; several are lines of their own. */
  hint?: string | readonly string[]
  cause?: unknown
}

const quoteLines = (lines: string | readonly string[]): string => [lines].flat().map(quoteLine).join('\n')

export abstract class PiimageError extends Error {
  /** Process exit status; docs/commands.md lists them. */
  abstract readonly exitCode: number
  readonly hint: string | undefined

  /** @param message one line, or several: a line end within one is quoted like every other control character */
  constructor(message: string | readonly string[], options: ErrorOptions = {}) {
    super(quoteLines(message), { cause: options.cause })
    this.name = new.target.name
    this.hint = options.hint === undefined ? undefined : quoteLines(options.hint)
  }
}

/** The command line or the cluster file asks for something impossible. */
export class UsageError extends PiimageError {
  readonly exitCode = 2
}

/** An image could not be had, or is not the one the lock names. */
export class FetchError extends PiimageError {
  readonly exitCode = 3
}

/** Bytes that do not follow their format; the message says what and at which byte offset. */
export class FormatError extends PiimageError {
  readonly exitCode = 4
}

/** A drive was refused, went away, or does not hold what was written. */
export class DriveError extends PiimageError {
  readonly exitCode = 5
}

/** Some nodes of several failed; the others are done. */
export class PartialError extends PiimageError {
  readonly exitCode = 6
}

/** The netboot server could not be set up, or would not boot its nodes. */
export class NetrootError extends PiimageError {
  readonly exitCode = 7
}

/** piimage itself is not all there. */
export class InstallError extends PiimageError {
  readonly exitCode = 1

  constructor(missing: string, cause?: unknown) {
    super(`a part of piimage is missing: ${missing}`, {
      hint: 'Install it again, with all that comes along; in a checkout: npm ci && npm run build',
      cause,
    })
  }
}

/** Nodes did not answer. */
export class UnreachedError extends PiimageError {
  readonly exitCode = 8
}

/** The person or the system asked piimage to stop (SIGINT, SIGTERM). */
export class InterruptedError extends PiimageError {
  readonly exitCode: number = 130
}

/** Whoever read what piimage says has gone: it stops, and there is nobody to tell. */
export class ClosedOutputError extends InterruptedError {
  /** As a shell says of a filter that SIGPIPE ended. */
  override readonly exitCode = 141
}

/** What piimage says can't be written, because of a full disk for instance: it stops. */
export class OutputError extends InterruptedError {
  override readonly exitCode = 2
}

/** One mistake in a text file, by place. */
export interface Mistake {
  file: string
  /** 1-based. */
  line: number
  /** 1-based, in characters. */
  column: number
  /** What is wrong, with the value. */
  message: string
  /** What would be right. */
  hint?: string
}

/** One line: where, what, and how to mend it. */
export const describeMistake = ({ file, line, column, message, hint }: Mistake): string =>
  `${file}:${line}:${column}: ${message}${hint === undefined ? '' : ` (${hint})`}`

/** A text file (cluster file, overlay, lock) with mistakes: all of them, in reading order. */
export class MistakesError extends UsageError {
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(describeMistake))
    this.mistakes = mistakes
  }
}

/** Answers to a form that won't do, by the field's name. */
export class AnswersError extends UsageError {
  readonly fields: Readonly<Record<string, { message: string; hint?: string }>>

  constructor(problems: ReadonlyMap<string, PiimageError>) {
    super([...problems.values()].map(({ message }) => message))
    this.fields = Object.fromEntries(
      [...problems].map(([field, { message, hint }]) => [field, { message, hint }]),
    )
  }
}
