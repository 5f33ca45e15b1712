/**
 * Is a secret in these bytes, as it is or written down in some way? Whoever
 * leaks one rarely does so in binary: the key of a cluster lies in a file of
 * hex digits, a private key in a PEM of base64 lines.
 *
 * Looked for as it is, in hex (any case, any separators), base64 and base64url
 * (at any offset, over any line breaks), base32, in UTF-16 of these, and as the
 * password of a SHA-512 crypt hash. Not in what is compressed or encrypted.
 */
import { createPrivateKey } from 'node:crypto'
import { sha512crypt } from './sha512crypt.ts'

/** Shorter ones would be found by chance. */
const LEAST_BYTES = 8

/** @returns whether bytes hold one of the secrets */
export type SecretFinder = (bytes: Uint8Array) => boolean

/** @param secrets bytes, or text as UTF-8; of a private key in PEM, its number too */
export function findAnyOf(secrets: Iterable<Uint8Array | string>): SecretFinder {
  const forms = [...secrets].flatMap(formsOf).filter(({ length }) => length >= LEAST_BYTES)
  const passwords = [...new Set(forms.map((form) => form.toString('latin1')))].filter((text) =>
    /^[\x21-\x7e]{8,128}$/.test(text),
  )
  const searches = views.map(({ view, needles }) => ({ view, contains: containsAny(forms.flatMap(needles)) }))
  return (bytes) =>
    searches.some(({ view, contains }) => contains(view(bytes))) || isHashOfAny(passwords, bytes)
}

function formsOf(secret: Uint8Array | string): Buffer[] {
  const bytes = Buffer.from(secret)
  const text = bytes.toString('latin1').trim()
  // 64 hex digits are 32 bytes, whoever writes them down, and the other way round.
  const isHex = /^(?:[0-9a-f]{2}){8,}$/i.test(text)
  const hex = isHex ? text.toLowerCase() : bytes.toString('hex')
  const forms = [bytes, Buffer.from(hex), Buffer.from(hex.toUpperCase()), ...numbersOf(text)]
  return isHex ? [...forms, Buffer.from(text, 'hex')] : forms
}

/** What makes a private key private: it stands in each of a key's many file formats. */
function numbersOf(text: string): Buffer[] {
  if (!text.includes('-----BEGIN ')) return []
  const body = Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  if (text.includes('OPENSSH')) return [body]
  try {
    const { d } = createPrivateKey(text).export({ format: 'jwk' })
    return d === undefined ? [body] : [body, Buffer.from(d, 'base64url')]
  } catch {
    // A certificate, or a key of a kind that Node does not know.
    return [body]
  }
}

interface View {
  /** The bytes as this notation is read. */
  view: (bytes: Uint8Array) => Uint8Array
  /** A secret in this notation, one for each way it can stand there. */
  needles: (secret: Buffer) => Buffer[]
}

const views: readonly View[] = [
  { view: (bytes) => bytes, needles: (secret) => [secret] },
  {
    view: keep('0123456789abcdef', { lowerCase: true, isHex: true }),
    needles: (secret) => [Buffer.from(secret.toString('hex'))],
  },
  {
    view: keep('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', {
      same: { '-': '+', _: '/' },
    }),
    needles: (secret) => [0, 1, 2].map((offset) => base64At(secret, offset)),
  },
  {
    view: keep('abcdefghijklmnopqrstuvwxyz234567', { lowerCase: true }),
    needles: (secret) => [0, 1, 2, 3, 4].map((offset) => base32At(secret, offset)),
  },
]

const BACKSLASH = 0x5c

/** The bytes of an alphabet, without all that stands between them: blanks, line ends, quotes, escapes, NULs. */
function keep(
  alphabet: string,
  {
    same = {},
    lowerCase = false,
    isHex = false,
  }: { same?: Record<string, string>; lowerCase?: boolean; isHex?: boolean },
): (bytes: Uint8Array) => Uint8Array {
  const table = new Uint8Array(256)
  for (const letter of alphabet) {
    table[letter.charCodeAt(0)] = letter.charCodeAt(0)
    if (lowerCase) table[letter.toUpperCase().charCodeAt(0)] = letter.charCodeAt(0)
  }
  for (const [letter, meant] of Object.entries(same)) table[letter.charCodeAt(0)] = meant.charCodeAt(0)
  return (bytes) => {
    const kept = Buffer.allocUnsafe(bytes.length)
    let length = 0
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] as number
      // `\n` in a quoted text, and the `0x` before a byte in hex, are no digits.
      if (byte === BACKSLASH) at += 1
      else if (isHex && byte === 0x30 && ((bytes[at + 1] as number) | 0x20) === 0x78) at += 1
      else if (table[byte] !== 0) kept[length++] = table[byte] as number
    }
    return kept.subarray(0, length)
  }
}

/** The characters that are the same whatever stands before and after the secret. */
function base64At(secret: Buffer, offset: number): Buffer {
  const text = Buffer.concat([Buffer.alloc(offset), secret]).toString('base64')
  const whole = Math.floor(((offset + secret.length) * 8) / 6)
  return Buffer.from(text.slice(Math.ceil((offset * 8) / 6), whole))
}

function base32At(secret: Buffer, offset: number): Buffer {
  const bits = BigInt(`0x${Buffer.concat([Buffer.alloc(offset), secret, Buffer.alloc(5)]).toString('hex')}`)
  const total = (offset + secret.length + 5) * 8
  const text = bits.toString(2).padStart(total, '0')
  let letters = ''
  for (let at = Math.ceil((offset * 8) / 5); (at + 1) * 5 <= (offset + secret.length) * 8; at += 1)
    letters += 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(text.slice(at * 5, at * 5 + 5), 2)]
  return Buffer.from(letters)
}

/** One pass over the bytes however many needles there are: the second and third byte of each are looked up in a table. */
function containsAny(needles: readonly Buffer[]): (bytes: Uint8Array) => boolean {
  const starts = new Uint8Array(1 << 16)
  const byStart = new Map<number, Buffer[]>()
  for (const needle of needles) {
    const start = needle.readUIntBE(0, 3)
    starts[start & 0xffff] = 1
    byStart.set(start, [...(byStart.get(start) ?? []), needle])
  }
  return (bytes) => {
    let start = 0
    for (let at = 0; at < bytes.length; at += 1) {
      start = ((start << 8) | (bytes[at] as number)) & 0xffffff
      if (at < 2 || starts[start & 0xffff] === 0) continue
      for (const needle of byStart.get(start) ?? [])
        if (needle.equals(bytes.subarray(at - 2, at - 2 + needle.length))) return true
    }
    return false
  }
}

/** More would take minutes: each costs milliseconds, on purpose. */
const MOST_HASHES = 20

function isHashOfAny(passwords: readonly string[], bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes).toString('latin1')
  const hashes = text.match(/\$6\$[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}/g) ?? []
  return [...new Set(hashes)].slice(0, MOST_HASHES).some((hash) => {
    const salt = hash.split('$')[2] ?? ''
    return passwords.some((password) => sha512crypt(password, salt) === hash)
  })
}
