/**
 * Characters of an alphabet, each equally likely: bytes beyond its last full repeat are skipped.
 * @param bytesOf derives that many secret bytes
 */
export function lettersFrom(
  bytesOf: (length: number) => Uint8Array,
  alphabet: string,
  count: number,
): string {
  const limit = 256 - (256 % alphabet.length)
  const text = [...bytesOf(count * 16)]
    .filter((byte) => byte < limit)
    .map((byte) => alphabet[byte % alphabet.length])
    .join('')
    .slice(0, count)
  if (text.length < count) throw new Error('too few usable bytes; astronomically unlikely')
  return text
}
