/**
 * What a value must look like before a line-based format may carry it.
 *
 * Every file on the boot partition is read by a parser that ends a value at
 * the end of the line. A newline in a pass phrase would therefore start a line
 * of its own: another setting, another command. Formats that cannot quote a
 * control character refuse it here, by name and place, instead of writing it.
 */
import { UsageError } from './errors.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]|\p{Surrogate}/u

/** How a value is shown in a message: control characters as escapes, so that a terminal survives it. */
export function showValue(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * @param what the place in words, for the message: `host name of node oneil`
 * @returns `value`, which is one line of well-formed text
 * @throws {UsageError} a control character, a line end or half a surrogate pair
 */
export function oneLine(value: string, what: string): string {
  if (control.test(value)) {
    throw new UsageError(`${what} holds a line end or a control character: ${showValue(value)}`, {
      hint: 'Write the value on one line, in printable characters.',
    })
  }
  return value
}

/** Like `oneLine`, and ASCII without spaces: for tokens of a kernel command line and names of files and interfaces. */
export function oneWord(value: string, what: string): string {
  if (!/^[\x21-\x7e]+$/.test(value)) {
    throw new UsageError(`${what} is not one word of ASCII letters, digits and signs: ${showValue(value)}`, {
      hint: 'Spaces, line ends, control characters and accents cannot stand there.',
    })
  }
  return value
}

/** One label of a host name as RFC 1123 has it, lower case. */
export const isHostName = (text: string): boolean => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)

/** Linux interface names: 1–15 characters; what systemd, NetworkManager and dhcpcd all take unquoted. */
export function interfaceName(value: string): string {
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,14}$/.test(value)) {
    throw new UsageError(`${showValue(value)} is not a valid interface name`, {
      hint: 'Names such as eth0, wlan0, usb0 and br0: 1 to 15 letters, digits, dots and dashes.',
    })
  }
  return value
}
