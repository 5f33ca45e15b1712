/**
 * Placeholders in overlays: `${node.name}`, `${param.version}`.
 *
 * They are filled in after the YAML has been parsed, so a value is always one
 * value: no quote, colon or line end in it can become structure. The writer of
 * the target format quotes it, or refuses it.
 *
 * - In overlay.yaml: `${path}`. A text that is nothing else gets the value
 *   itself (a list, a number); inside other text only plain values can stand.
 *   `$${` is a literal `${`.
 * - In the content of files: `${sh:path}`, `${json:path}` or `${raw:path}`, so
 *   that the quoting is named. Anything else with `${` is the file's own.
 */

import { quoteShell } from '../env-file.ts'
import { UsageError } from '../errors.ts'
import { oneLine, showValue } from '../plain-value.ts'

/** @throws {UsageError} there is no such path, or this node has no such value */
export type Lookup = (path: string) => unknown

const isPlain = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

function plain(value: unknown, path: string, where: string): string {
  if (isPlain(value)) return String(value)
  throw new UsageError(
    `${where}: \${${path}} is ${value === null ? 'empty' : 'a list or a mapping'} and cannot stand inside text`,
    {
      hint: `Let the placeholder be the whole value, or write \${json:${path}} in a file.`,
    },
  )
}

/**
 * @param where for messages: `overlay docker`
 * @returns a copy of `value` with every placeholder filled in; keys are left as they are
 */
export function fillTree(value: unknown, lookup: Lookup, where: string): unknown {
  if (typeof value === 'string') return fillString(value, lookup, where)
  if (Array.isArray(value)) return value.map((item) => fillTree(item, lookup, where))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, fillTree(item, lookup, where)]),
    )
  }
  return value
}

function fillString(text: string, lookup: Lookup, where: string): unknown {
  const whole = /^\$\{([A-Za-z0-9_.-]+)\}$/.exec(text)
  if (whole?.[1] !== undefined) return lookup(whole[1])
  return text.replaceAll(/\$\$\{|\$\{([^}]*)(\}?)/g, (match, path: string | undefined, close: string) => {
    if (path === undefined) return '${'
    if (close === '' || !/^[A-Za-z0-9_.-]+$/.test(path)) {
      throw new UsageError(`${where}: ${showValue(match)} is not a placeholder`, {
        hint: `Write \${node.name} and the like; $\${ stands for a literal \${.`,
      })
    }
    return plain(lookup(path), path, where)
  })
}

/**
 * Fill in the content of a file.
 *
 * @throws {UsageError} a placeholder that does not name its quoting, or a value that the quoting cannot carry
 */
export function fillFile(text: string, lookup: Lookup, where: string): string {
  return text.replaceAll(
    /\$\{(?:(sh|json|raw):)?((?:node|cluster|os|param)\.[A-Za-z0-9_.-]+)\}/g,
    (match, quoting: string | undefined, path: string) => {
      const value = lookup(path)
      if (quoting === 'json') return JSON.stringify(value)
      if (quoting === 'sh') {
        const word = plain(value, path, where)
        if (word.includes('\0')) oneLine(word, `${where}: ${match}`)
        return quoteShell(word)
      }
      if (quoting === 'raw') return oneLine(plain(value, path, where), `${where}: ${match}`)
      throw new UsageError(`${where}: ${match} does not say how the value is quoted`, {
        hint: `Write \${sh:${path}} in a shell script, \${json:${path}} in JSON, \${raw:${path}} for the bare text.`,
      })
    },
  )
}
