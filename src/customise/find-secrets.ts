/** Secrets in boot files that piimage did not write, or wrote for another node. */

/**
 * What must not be shown: password hashes, 64 hex digits (a Wi-Fi key), and
 * whatever a setting named like a secret holds. Better one word too many.
 */
export function findSecrets(text: string): string[] {
  const hashes = text.match(/\$[0-9a-z]{1,3}\$[^\s"':]+/g) ?? []
  const keys = text.match(/\b[0-9a-f]{64}\b/gi) ?? []
  const said = [
    ...text.matchAll(/\b(?:psk|password|passwd|plain_text_passwd|token)\b"?\s*[:=]\s*"?([^"\n]+)/gi),
  ]
  return [...hashes, ...keys, ...said.map(([, value]) => (value ?? '').trim())]
}
