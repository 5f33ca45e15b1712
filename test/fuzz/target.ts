/** What is fuzzed: a parser, what it starts from, and what it must never do. */

export interface FuzzTarget {
  name: string
  /** Whether inputs may grow and shrink anywhere (text), or keep the places of their bytes (disk structures). */
  kind: 'text' | 'binary'
  /** Well-formed inputs. The same in every run, on every machine. */
  seeds(): Promise<Uint8Array[]>
  /** Words of the format, which bit flips would never hit on. */
  dictionary?: readonly string[]
  /**
   * Read the input as piimage does. Resolves for a good one; a PiimageError is
   * the right answer for a bad one. Anything else is a finding: another error,
   * no end, memory without bound, a promise of the parser that does not hold.
   */
  run(input: Uint8Array): Promise<void>
}
