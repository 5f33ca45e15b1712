/**
 * WPA2 pre-shared key from a pass phrase, so that no card holds the phrase itself.
 *
 * The key is still a secret: it opens the network. It does nothing for a network
 * that speaks WPA3-SAE only; that needs the phrase.
 *
 * Source: IEEE 802.11, annex J.4 (PBKDF2 with HMAC-SHA1, 4096 rounds, 256 bits).
 */
import { pbkdf2Sync } from 'node:crypto'

/**
 * @param passphrase 8–63 printable ASCII characters
 * @param ssid network name; its UTF-8 octets (1–32) are the salt
 * @returns 64 lower-case hex digits
 */
export function deriveWpaPsk(passphrase: string, ssid: string): string {
  return pbkdf2Sync(passphrase, Buffer.from(ssid, 'utf8'), 4096, 32, 'sha1').toString('hex')
}
