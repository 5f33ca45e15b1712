/** A folder as it is: every name with its kind, mode and content. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** @param without names at its top that don't count */
export function snapshot(folder: string, without: readonly string[] = []): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (without.some((one) => name === one || name.startsWith(`${one}/`))) continue
    const path = join(folder, name)
    const stats = lstatSync(path)
    const mode = (stats.mode & 0o7777).toString(8)
    if (stats.isSymbolicLink()) found[name] = `-> ${readlinkSync(path)}`
    else if (stats.isFile()) found[name] = `${mode} ${readFileSync(path, 'base64')}`
    else found[name] = mode
  }
  return found
}
