/**
 * Checksum files as sha256sum writes them: `<64 hex>  <name>`, `<64 hex> *name`
 * for binary mode, one file per line. Publishers put one beside each image
 * (`.sha256`) or one beside all (`SHA256SUMS`).
 */
import { FetchError } from '../errors.ts'

/** No sidecar has more; SHA256SUMS of all Ubuntu images has 10 kB. */
export const SIDECAR_LIMIT = 1024 * 1024

/** The digest of `name` in a checksum file. @param by where the text comes from, for messages @throws {FetchError} */
export function parseSidecar(bytes: Uint8Array, name: string, by: string): string {
  const found = new Set<string>()
  const names: string[] = []
  for (const line of new TextDecoder().decode(bytes).split(/\r?\n/)) {
    if (line.trim() === '') continue
    const match = /^([0-9a-fA-F]{64}) [ *](.+)$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) {
      throw new FetchError(`${by} is not a checksum file: ${JSON.stringify(line.slice(0, 60))}`, {
        hint: 'A log-in page or an error page in its place? Open it in a browser',
      })
    }
    const file = match[2].replace(/^\.\//, '')
    names.push(file)
    if (file === name) found.add(match[1].toLowerCase())
  }
  const [digest] = found
  if (digest === undefined || found.size > 1) {
    const has = names.length === 0 ? 'nothing' : names.slice(0, 3).join(', ')
    throw new FetchError(
      digest === undefined
        ? `${by} has no line for ${name}; it has ${has}`
        : `${by} has two digests for ${name}`,
      { hint: 'Nothing was locked: a checksum of another file proves nothing' },
    )
  }
  return digest
}
