/** Digests: sha256 in lower-case hex, and the error for bytes that are not the ones somebody vouched for. */
import { createHash } from 'node:crypto'
import { FetchError } from './errors.ts'

/** @returns 64 lower-case hex digits */
export const sha256 = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex')

export interface DigestFacts {
  /** Who named the expected digest; default: images.lock.json. */
  saidBy?: string
  /** What became of the bytes, and what to do. */
  hint?: string
}

/** The bytes are whole, but not the ones that were named. */
export class DigestError extends FetchError {
  readonly expected: string
  readonly actual: string

  /** @param what a file, an address or an image, as a person would name it */
  constructor(what: string, expected: string, actual: string, facts: DigestFacts = {}) {
    super(`sha256 of ${what} is ${actual}; ${facts.saidBy ?? 'images.lock.json'} says ${expected}`, {
      hint:
        facts.hint ??
        'Nothing was kept. Run the command again; if it stays so, the publisher changed the image: run `piimage images lock` and read what changed.',
    })
    this.expected = expected
    this.actual = actual
  }
}
