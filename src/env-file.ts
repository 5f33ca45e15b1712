/**
 * Shell quoting, and files of `KEY='value'` that a shell reads with `.`.
 *
 * Inside single quotes a POSIX shell takes every byte literally but the single
 * quote itself, which is closed, escaped and opened again: `'\''`.
 */
import { oneLine } from './plain-value.ts'

/** `it's $HOME` → `'it'\''s $HOME'` */
export function quoteShell(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`
}

/** The part of a variable's name that comes from a name with dashes: `address-pool` → `ADDRESS_POOL`. */
export function envName(name: string): string {
  return name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')
}

/**
 * @param variables in the order they are written
 * @throws {UsageError} a value with a line end or control character
 * @throws {Error} a name that is no variable of a shell (they are made in this program)
 */
export function formatEnvFile(variables: Readonly<Record<string, string>>): string {
  let text = ''
  for (const [name, value] of Object.entries(variables)) {
    if (!/^[A-Z][A-Z0-9_]*$/.test(name)) throw new Error(`${name} is not a valid shell variable name`)
    text += `${name}=${quoteShell(oneLine(value, name))}\n`
  }
  return text
}
