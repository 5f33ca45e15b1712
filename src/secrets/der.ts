/**
 * DER, as far as a certificate and its key need it: each function gives one
 * complete element, tag and length included. Source: ITU-T X.690.
 */

function element(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length > 0xffff) throw new Error('an element of more than 64 KiB')
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

export const sequence = (...parts: Uint8Array[]): Buffer => element(0x30, ...parts)
export const set = (...parts: Uint8Array[]): Buffer => element(0x31, ...parts)
export const octetString = (content: Uint8Array): Buffer => element(0x04, content)
export const utf8String = (text: string): Buffer => element(0x0c, Buffer.from(text))
export const boolean = (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0]))
/** `[number]`, constructed. */
export const tagged = (number: number, ...parts: Uint8Array[]): Buffer => element(0xa0 + number, ...parts)

/** An unsigned number from its bytes, big-endian. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const rest = bytes.subarray(start)
  // The highest bit is the sign.
  return element(0x02, ...((rest[0] ?? 0) >= 0x80 ? [Buffer.from([0]), rest] : [rest]))
}

/** @param unusedBits how many of the last byte's low bits don't count */
export const bitString = (content: Uint8Array, unusedBits = 0): Buffer =>
  element(0x03, Buffer.from([unusedBits]), content)

/** `1.2.840.10045.2.1` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const number of rest) {
    const groups = [number % 128]
    for (let left = Math.floor(number / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift(0x80 + (left % 128))
    bytes.push(...groups)
  }
  return element(0x06, Buffer.from(bytes))
}

/** A point in time: two-digit years before 2050, four-digit ones after it (RFC 5280 §4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)
  const year = date.getUTCFullYear()
  return year >= 1950 && year < 2050
    ? element(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : element(0x18, Buffer.from(`${digits}Z`))
}

/** @param label `CERTIFICATE`, `EC PRIVATE KEY` */
export function formatPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
