/**
 * runcmd of a cloud-config: cloud-init writes all of its entries into one shell
 * script. So a line that ends the shell (`exit`, `exec`, `set -e` and a failure,
 * a syntax error) takes what comes after it along, and one entry that it can't
 * write (a boolean) takes all of them.
 *
 * Source: cloud-init, `cc_runcmd` and `shellify`.
 */

import { quoteShell } from '../env-file.ts'
import { UsageError } from '../errors.ts'
import type { Tree } from './cloud-init.ts'

/** Linux takes no longer argument (MAX_ARG_STRLEN, with its NUL). */
const MAX_SCRIPT_BYTES = 128 * 1024 - 1

const isScalar = (tree: Tree): tree is string | number | boolean =>
  typeof tree === 'string' || typeof tree === 'number' || typeof tree === 'boolean'

/**
 * The entries as the shell script that cloud-init would make of them: texts as
 * they are, lists as quoted words. A boolean or a number is the word that a
 * person wrote (`- false`), which cloud-init can't write.
 *
 * @throws {UsageError} no list, or an entry that is no command
 */
export function runcmdScript(runcmd: Tree | undefined): string {
  if (runcmd === undefined || runcmd === null) return ''
  if (!Array.isArray(runcmd)) throw notACommand('runcmd', 'is not a list of commands')
  const lines = runcmd.flatMap((entry, index) => {
    const where = `entry ${index + 1} of runcmd`
    if (entry === null) return []
    if (isScalar(entry)) return [`${entry}\n`]
    if (!Array.isArray(entry)) throw notACommand(where, 'is a mapping')
    const words = entry.map((word) => {
      if (word !== null && !isScalar(word))
        throw notACommand(where, 'has a list or a mapping among its words')
      return quoteShell(String(word ?? ''))
    })
    return [`${words.join(' ')}\n`]
  })
  return lines.join('')
}

const notACommand = (where: string, what: string): UsageError =>
  new UsageError(`user-data: ${where} ${what}, and cloud-init would run none of them`, {
    hint: 'A command is a text or a list of words. YAML takes a text with ": " in it for a mapping: put quotes around it.',
  })

/**
 * A person's entries in a shell of their own, between two runs of the
 * installer. The first one installs and starts nothing: what those entries do
 * after it (restart the machine) can't prevent it any more, and the unit that it
 * has enabled goes on at the next boot. The second one starts that unit.
 *
 * @param own what runs anyway
 * @param script of `runcmdScript`; '': no entries, and one run is enough
 * @throws {UsageError} the script is too long for an argument
 */
export function runcmdWith(own: readonly Tree[], script: string, installer: string): Tree[] {
  const install = ['sh', installer]
  if (script === '') return [...own, install]
  if (Buffer.byteLength(script) > MAX_SCRIPT_BYTES)
    throw new UsageError(`user-data: runcmd has more than ${MAX_SCRIPT_BYTES} bytes`, {
      hint: 'Put the commands into a file (write_files), and run that.',
    })
  return [['env', 'PIIMAGE_FROM_UNIT=1', ...install], ...own, ['sh', '-c', script], install]
}
