/**
 * How a value is written in each of the servers' formats, so that it comes out
 * as it went in or is refused: never as a second value, line or option.
 *
 * Sources: read_file() of dnsmasq's option.c (quotes hide the signs that
 * separate), nfs-utils' xio.c (octal escapes), systemd.syntax(7) and
 * systemd.unit(5) (specifiers, quotes, escapes of paths in unit names).
 */
import { UsageError } from '../errors.ts'
import { oneLine } from '../plain-value.ts'

/** One value of a dnsmasq setting; in quotes when it holds a sign that means something there. */
export function dnsmasqValue(value: string): string {
  oneLine(value, 'a value for dnsmasq')
  return /^[A-Za-z0-9_./:+@-]+$/.test(value) ? value : `"${value.replace(/[\\"]/g, '\\$&')}"`
}

/** A folder as exports(5) takes it: every byte that could mean something as three octal digits. */
export function exportsPath(path: string): string {
  const bytes = new TextEncoder().encode(plainPath(path))
  return Array.from(bytes, (byte) =>
    /[A-Za-z0-9_./:+@-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : octal(byte),
  ).join('')
}

const octal = (byte: number): string => `\\${byte.toString(8).padStart(3, '0')}`

/**
 * The unit that mounts on a folder, as `systemd-escape -p --suffix=mount` names it.
 * @throws {UsageError} not a plain absolute path, or too long for a unit's name
 */
export function mountUnitName(folder: string): string {
  const bytes = new TextEncoder().encode(plainPath(folder).slice(1))
  const name = Array.from(bytes, (byte, index) => {
    const letter = String.fromCharCode(byte)
    if (letter === '/') return '-'
    const isPlain = /[A-Za-z0-9:_.]/.test(letter) && !(letter === '.' && index === 0)
    return isPlain ? letter : `\\x${byte.toString(16).padStart(2, '0')}`
  }).join('')
  if (name.length > LONGEST_UNIT - '.mount'.length)
    throw new UsageError(`${folder} is too long a path for a systemd unit that mounts it`, {
      hint: 'Take a state folder with a shorter path.',
    })
  return `${name}.mount`
}

/** systemd's UNIT_NAME_MAX, and the longest file name of ext4. */
const LONGEST_UNIT = 255

/** A setting that a unit takes as it stands to the end of the line. */
export function unitText(value: string): string {
  oneLine(value, 'a value for systemd')
  if (value.endsWith('\\') || value !== value.trim())
    throw new UsageError(`${JSON.stringify(value)} cannot end a line of a systemd unit`, {
      hint: 'Use a path without a blank or a backslash at its end.',
    })
  return value.replaceAll('%', '%%')
}

/** A setting that a unit takes as a list of words, as one word. */
export function unitWord(value: string): string {
  const text = oneLine(value, 'a value for systemd').replaceAll('%', '%%')
  return /^[A-Za-z0-9_./:+@%-]+$/.test(text) ? text : `"${text.replace(/[\\"]/g, '\\$&')}"`
}

/**
 * A folder inside the options of an overlay mount, which mount(8) cuts at commas
 * and the kernel at colons.
 * @throws {UsageError} a sign that one of the two would take for its own
 */
export function overlayPath(path: string): string {
  if (/[,:\\"]/.test(path))
    throw new UsageError(
      `${path} cannot be part of an overlay: a path with a comma, colon, quote or backslash`,
      {
        hint: 'Take another state folder, or roots of another kind: --root-mode copy.',
      },
    )
  return plainPath(path)
}

/**
 * An absolute path that means one place, whoever reads it.
 * @throws {UsageError} relative, `/` itself, or with `.`, `..` or empty parts
 */
export function plainPath(path: string): string {
  const parts = oneLine(path, 'a path').split('/').slice(1)
  if (!path.startsWith('/') || parts.some((part) => part === '' || part === '.' || part === '..'))
    throw new UsageError(`${JSON.stringify(path)} is not a plain absolute path`, {
      hint: 'Name the folder from / on, without "..", such as /srv/piimage.',
    })
  return path
}
