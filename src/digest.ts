/** Digests: sha256 in lower-case hex, and the error for bytes that are not the ones somebody vouched for. */
import { FetchError } from './errors.ts'

/** The bytes are whole, but not the ones that were named. */
export class DigestError extends FetchError {
  readonly expected: string
  readonly actual: string

  /**
   * @param what a file or an image, as a person would name it
   * @param saidBy who named the expected digest: `images.lock.json`, `--sha256`, a side file
   */
  constructor(what: string, expected: string, actual: string, saidBy: string) {
    super(`sha256 of ${what} is ${actual}; ${saidBy} says ${expected}`, {
      hint: 'Nothing was kept. Run the command again; if it stays so, the publisher changed the image: run `piimage images lock` and read what changed.',
    })
    this.expected = expected
    this.actual = actual
  }
}
