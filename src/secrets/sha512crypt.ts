/**
 * sha512crypt: the `$6$` password hash of crypt(3).
 *
 * Every system from Stretch to Trixie accepts it; yescrypt (`$y$`) is unknown
 * before Bullseye. 5000 rounds, the default of the format, so no `rounds=`.
 *
 * Source: Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", version 0.6.
 */
import { createHash } from 'node:crypto'

/** The alphabet of crypt(3): 6 bits per character, least significant first. */
export const cryptAlphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const defaultRounds = 5000
const longestSalt = 16
const digestBytes = 64

const sha512 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** `length` bytes of a digest, repeated as often as needed. */
const stretch = (digest: Uint8Array, length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  for (let offset = 0; offset < length; offset += digest.length)
    bytes.set(digest.subarray(0, length - offset), offset)
  return bytes
}

/**
 * Hash a password.
 * @param password any text; hashed as UTF-8
 * @param salt 1–16 characters of `./0-9A-Za-z`
 * @returns `$6$<salt>$<86 characters>`
 */
export function sha512crypt(password: string, salt: string): string {
  if (!/^[./0-9A-Za-z]+$/.test(salt) || salt.length > longestSalt) throw new Error(`bad salt ${salt}`)
  const key = Buffer.from(password, 'utf8')
  const saltBytes = Buffer.from(salt, 'ascii')

  const b = sha512(key, saltBytes, key)
  const parts: Uint8Array[] = [key, saltBytes, stretch(b, key.length)]
  // The length of the password, bit by bit, chooses what is mixed in.
  for (let length = key.length; length > 0; length = Math.floor(length / 2))
    parts.push(length % 2 === 1 ? b : key)
  let digest = sha512(...parts)

  const p = stretch(sha512(...Array<Uint8Array>(key.length).fill(key)), key.length)
  const saltRepeats = 16 + (digest[0] ?? 0)
  const s = stretch(sha512(...Array<Uint8Array>(saltRepeats).fill(saltBytes)), saltBytes.length)

  for (let round = 0; round < defaultRounds; round += 1) {
    const odd = round % 2 === 1
    const mix: Uint8Array[] = [odd ? p : digest]
    if (round % 3 !== 0) mix.push(s)
    if (round % 7 !== 0) mix.push(p)
    mix.push(odd ? digest : p)
    digest = sha512(...mix)
  }
  return `$6$${salt}$${encode(digest)}`
}

/** 64 bytes as 86 characters: triples of bytes 21 apart, each group rotated by one more than the last. */
function encode(digest: Uint8Array): string {
  let text = ''
  for (let group = 0; group < 21; group += 1) {
    const triple = [group, group + 21, group + 42]
    const shift = group % 3
    const [high, middle, low] = [0, 1, 2].map((index) => digest[triple[(index + shift) % 3] ?? 0] ?? 0)
    text += sixBits(((high ?? 0) << 16) | ((middle ?? 0) << 8) | (low ?? 0), 4)
  }
  return text + sixBits(digest[digestBytes - 1] ?? 0, 2)
}

function sixBits(value: number, characters: number): string {
  let rest = value
  let text = ''
  for (let index = 0; index < characters; index += 1) {
    text += cryptAlphabet[rest & 63]
    rest >>= 6
  }
  return text
}
