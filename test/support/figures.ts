/**
 * What a test has counted, for the table of promises in the README.
 *
 * Every passed test is a case of its file, without further ado. A test that
 * holds many cases in itself (kills, executions of a fuzzer) says how many:
 * `figure(t, 'kills', 200)`. The reporter beside this file gathers both, and
 * test/promises.ts says which of them stand in the README. Figures are counts
 * that are the same in every run: no times, no bytes that depend on timing.
 */
import type { TestContext } from 'node:test'

/** A diagnostic line that carries a figure. */
export const FIGURE = /^figure ([a-z][a-z -]*): (\d+)$/

/** How long a file's tests took: not a figure for the README, but for choosing what a quick run runs. */
export const MILLISECONDS = 'milliseconds'

/** @param name lower-case words; several figures of one name in a file are added up */
export function figure(t: TestContext, name: string, count: number): void {
  const line = `figure ${name}: ${count}`
  if (!FIGURE.test(line)) throw new Error(`${line} is no figure`)
  t.diagnostic(line)
}
