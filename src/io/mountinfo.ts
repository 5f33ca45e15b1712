/** What Linux says is mounted and swapped to: proc_pid_mountinfo(5), `/proc/swaps`. */
import { readFile } from 'node:fs/promises'
import { UsageError } from '../errors.ts'

export interface MountEntry {
  /** `major:minor`; `0:N` for file systems without a device of their own (btrfs, overlay). */
  device: string
  target: string
  source: string
  fileSystem: string
}

/**
 * @param text /proc/self/mountinfo
 * @returns in file order, which is mount order; escapes undone
 */
export function parseMountinfo(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const fields = line.split(' ')
      // A variable number of optional fields stands before the lone dash.
      const dash = fields.indexOf('-', 6)
      const [device, target] = [fields[2], fields[4]]
      const [fileSystem, source] = [fields[dash + 1], fields[dash + 2]]
      if (dash < 0 || !device || !target || !fileSystem || source === undefined) return []
      return [{ device, target: unescapeOctal(target), source: unescapeOctal(source), fileSystem }]
    })
}

/**
 * Mount points at a folder or below it, in the order in which they can be unmounted.
 * @param folder absolute, without links in it
 * @throws {UsageError} not Linux, or without /proc
 */
export async function listMountsUnder(folder: string): Promise<string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8').catch((cause) => {
    throw new UsageError('this machine does not say what is mounted', { hint: 'Mount /proc.', cause })
  })
  return parseMountinfo(text)
    .map(({ target }) => target)
    .filter((target) => target === folder || target.startsWith(`${folder}/`))
    .reverse()
}

/** @param text /proc/swaps @returns device paths and swap files in use */
export function parseSwaps(text: string): string[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => unescapeOctal(line.split(/\s/)[0] ?? ''))
    .filter((path) => path !== '')
}

/** The kernel writes space, tab, newline and backslash as `\040`, `\011`, `\012`, `\134`. */
const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
