/** Variable-length integers of .xz: seven bits a byte, least significant first. Source: The .xz File Format 1.2.0, §1.2. */

/** A variable-length integer of at most 9 bytes; undefined: not one, or above 2^53. */
export function readNumber(bytes: Uint8Array, offset: number): { value: number; next: number } | undefined {
  let value = 0
  let scale = 1
  for (let at = offset; at < offset + 9; at++) {
    const byte = bytes[at]
    if (byte === undefined || (byte === 0 && at > offset)) return undefined
    value += (byte % 128) * scale
    if (value > Number.MAX_SAFE_INTEGER) return undefined
    if (byte < 128) return { value, next: at + 1 }
    scale *= 128
  }
  return undefined
}

export function writeNumber(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return bytes
}
