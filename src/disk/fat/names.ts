/**
 * FAT file names: what may be one, when two are the same, and the 8.3 alias
 * that stands beside every long name.
 *
 * Long names are UTF-16 and keep their case; lookup ignores case. A name that is
 * an upper-case 8.3 name needs no long form; every other (also `ssh`) gets one,
 * as Linux writes it, so that it shows as it was given on every system.
 *
 * An alias here is the 11 bytes of a short entry as a string of Latin-1
 * characters, blank-padded, without the dot: `CMDLINE TXT`.
 */

import { UsageError } from '../../errors.ts'
import { trimEnd } from '../../trim-end.ts'

/** 8.3 characters besides letters and digits, as Microsoft lists them. */
const SHORT_NAME = /^[A-Z0-9!#$%&'()\-@^_`{}~]{1,8}(\.[A-Z0-9!#$%&'()\-@^_`{}~]{1,3})?$/
const SHORT_ILLEGAL = /[^A-Z0-9!#$%&'()\-@^_`{}~]/gu
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a name may not hold
const ILLEGAL = /[\u0000-\u001f"*/:<>?\\|\u007f-\u009f]|\p{Surrogate}/u
const MAX_NAME_UNITS = 255

/** Upper half of code page 437, which Linux and DOS assume for short names. */
const CP437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐' +
  '└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0'

/** Whether a name read from a volume can be trusted to be one: no separators, no control characters. */
export function isUsableName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !ILLEGAL.test(name)
}

/** @throws {UsageError} the name cannot stand on a FAT volume */
export function checkName(name: string): void {
  const hint =
    'FAT names have 1 to 255 characters, none of \\ / : * ? " < > |, and no dot or blank at the end.'
  if (!isUsableName(name) || /[. ]$/.test(name)) {
    throw new UsageError(`${JSON.stringify(name)} cannot be a file name on the boot partition`, { hint })
  }
  if (name.length > MAX_NAME_UNITS) {
    throw new UsageError(`the file name ${name.slice(0, 40)}… has ${name.length} characters`, { hint })
  }
}

/** `a/b/c` → its names; leading, trailing and doubled slashes say nothing. The root has none. */
export function splitPath(path: string): string[] {
  return path.split('/').filter((name) => name !== '')
}

/** Equal for names that FAT takes for the same. Never changes the length: `ß` stays, it is not `SS`. */
export function foldName(name: string): string {
  const upper = name.toUpperCase()
  if (upper.length === name.length) return upper
  return Array.from(name, (c) => (c.toUpperCase().length === c.length ? c.toUpperCase() : c)).join('')
}

/** Whether the name is its own short name, and needs no long one. */
export function isShortName(name: string): boolean {
  return SHORT_NAME.test(name)
}

/**
 * The alias for a new name: the name itself where it is an 8.3 name but for its
 * case, else its first letters and the lowest free `~1`, `~2` …
 * @param taken aliases of the directory's other entries
 */
export function chooseAlias(name: string, taken: ReadonlySet<string>): string {
  const upper = foldName(name)
  if (SHORT_NAME.test(upper)) {
    const [base = '', extension = ''] = upper.split('.')
    const alias = base.padEnd(8) + extension.padEnd(3)
    if (!taken.has(alias)) return alias
  }
  for (let number = 1; ; number += 1) {
    const alias = numberedAlias(upper, number)
    if (!taken.has(alias)) return alias
  }
}

/** @param upper a folded name */
function numberedAlias(upper: string, number: number): string {
  const bare = upper.replace(/^[. ]+/, '')
  const dot = bare.lastIndexOf('.')
  const base = shortPart(dot < 0 ? bare : bare.slice(0, dot)) || '_'
  const extension = dot < 0 ? '' : shortPart(bare.slice(dot + 1))
  const tail = `~${number}`
  return (base.slice(0, 8 - tail.length) + tail).padEnd(8) + extension.slice(0, 3).padEnd(3)
}

/**
 * Two of these paths that a FAT volume may take for one: in another case, with
 * dots or blanks at an end, one the 8.3 alias of the other, or a file where the
 * other needs a folder.
 */
export function findSamePaths(paths: Iterable<string>): [string, string] | undefined {
  const seen = new Map<string, string>()
  const folders = new Map<string, string>()
  const bySiblings = new Map<string, { name: string; path: string }[]>()
  for (const path of paths) {
    const names = splitPath(path).map((name) => foldName(trimEnd(name, '. ')))
    const folded = names.join('/')
    const same = seen.get(folded)
    if (same !== undefined) return [same, path]
    seen.set(folded, path)
    for (let depth = 1; depth < names.length; depth += 1) folders.set(names.slice(0, depth).join('/'), path)
    const folder = names.slice(0, -1).join('/')
    bySiblings.set(folder, [...(bySiblings.get(folder) ?? []), { name: names.at(-1) ?? '', path }])
  }
  for (const [folder, path] of folders) {
    const file = seen.get(folder)
    if (file !== undefined) return [file, path]
  }
  for (const siblings of bySiblings.values()) {
    for (const { name, path } of siblings) {
      const number = /^[^.]{1,6}~([1-9]\d*)(?:\.[^.]{1,3})?$/.exec(name)?.[1]
      if (number === undefined) continue
      const [base = '', extension = ''] = name.split('.')
      const alias = base.padEnd(8) + extension.padEnd(3)
      const other = siblings.find(
        (sibling) => !SHORT_NAME.test(sibling.name) && numberedAlias(sibling.name, Number(number)) === alias,
      )
      if (other !== undefined) return [path, other.path]
    }
  }
  return undefined
}

function shortPart(text: string): string {
  return text.replace(/[. ]/g, '').replace(SHORT_ILLEGAL, '_')
}

/** Ties long-name entries to their short entry. */
export function aliasChecksum(alias: string): number {
  let sum = 0
  for (let i = 0; i < 11; i += 1) sum = (((sum & 1) << 7) + (sum >> 1) + alias.charCodeAt(i)) & 0xff
  return sum
}

/** The 11 bytes of a volume label → text; what would steer a terminal reads as `?`. */
export function readLabel(raw: string): string {
  return Array.from(decode437(raw), (c) => (c < ' ' || c === '\x7f' ? '?' : c))
    .join('')
    .trimEnd()
}

/**
 * Alias → name: `SSH        ` → `SSH`, or `ssh` with the lower-case flags.
 * @param flags byte 12 of the entry: 0x08 base, 0x10 extension in lower case (Windows NT)
 */
export function readAlias(alias: string, flags: number): string {
  // 0xE5 marks a deleted entry, so a name that starts with it is stored with 0x05.
  const text = decode437(alias.startsWith('\x05') ? `\xe5${alias.slice(1)}` : alias)
  const base = text.slice(0, 8).trimEnd()
  const extension = text.slice(8).trimEnd()
  const name = (flags & 0x08) === 0 ? base : base.toLowerCase()
  if (extension === '') return name
  return `${name}.${(flags & 0x10) === 0 ? extension : extension.toLowerCase()}`
}

function decode437(bytes: string): string {
  return Array.from(bytes, (c) => (c < '\x80' ? c : CP437.charAt(c.charCodeAt(0) - 128))).join('')
}
