/** Bytes that are not the ones the lock names. */
import { FetchError } from '../errors.ts'

export class DigestError extends FetchError {
  readonly expected: string
  readonly actual: string

  /**
   * @param what the file or address, for the message
   * @param hint what became of the bytes and what to do
   */
  constructor(what: string, expected: string, actual: string, hint: string) {
    super(`sha256 of ${what} is ${actual}; images.lock.json says ${expected}`, { hint })
    this.expected = expected
    this.actual = actual
  }
}
