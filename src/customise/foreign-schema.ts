/**
 * What an overlay may ask of its parameters. Whoever wrote the overlay wrote the
 * schema and its patterns, so they are judged in bounded time: patterns by an
 * engine that doesn't backtrack, no reference that a schema could multiply or
 * close into a circle, and a limit for everything else.
 */
import { createContext, Script } from 'node:vm'
import { RE2JS } from 're2js'

const LONGEST_PATTERN = 1000
/** Of RE2's instructions; the longest that ships takes 260. */
const LARGEST_PROGRAM = 2000

export interface LinearPattern {
  readonly source: string
  test(text: string): boolean
  /** As ajv tells two from each other. */
  toString(): string
}

/**
 * A pattern that takes time in proportion to the text.
 *
 * @throws {Error} it isn't one, or has what RE2 hasn't: look-around, back-references
 */
export function linearPattern(source: string): LinearPattern {
  const shown = JSON.stringify(source.length > 60 ? `${source.slice(0, 60)}…` : source)
  if (source.length > LONGEST_PATTERN)
    throw new Error(`the pattern ${shown} has more than ${LONGEST_PATTERN} characters`)
  let pattern: RE2JS
  try {
    pattern = RE2JS.compile(RE2JS.translateRegExp(source))
  } catch (error) {
    throw new Error(
      `the pattern ${shown} is not one of RE2's: ${(error as Error).message.replace(/^error parsing regexp: /, '')}`,
      { cause: error },
    )
  }
  if (pattern.programSize() > LARGEST_PROGRAM)
    throw new Error(`the pattern ${shown} repeats too much: at most ${LARGEST_PROGRAM} steps are allowed`)
  return { source, test: (text) => pattern.test(text), toString: () => source }
}

/** As ajv takes an engine; the code is for schemas compiled into files, which these never are. */
export const linearEngine = Object.assign(linearPattern, { code: 'linearPattern' })

/**
 * @returns a reference anywhere in a schema. The same word as a value that is allowed is none,
 *   and is refused all the same: nobody needs it
 */
export function findReference(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$ref') return String(value)
    const found = findReference(value)
    if (found !== undefined) return found
  }
  return undefined
}

/** No schema that a person wrote for its parameters needs it; by the clock, so that nothing can outlast it. */
const LONGEST_MS = 5_000

const scope: { judge?: () => unknown } = {}
const context = createContext(scope)
const call = new Script('judge()')

/**
 * @param judge runs at once, and must leave nothing half done
 * @param limit in milliseconds
 * @throws {Error} it was not done in time
 */
export function inBoundedTime<T>(judge: () => T, limit = LONGEST_MS): T {
  scope.judge = judge
  try {
    return call.runInContext(context, { timeout: limit }) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
    throw new Error(`it takes more than ${limit / 1000} s to check`, { cause: error })
  } finally {
    scope.judge = undefined
  }
}
