/**
 * ECDSA on P-256 whose keys and signatures follow from their input alone.
 *
 * OpenSSL takes a random number for each signature; here it follows from key
 * and message (RFC 6979), so that a certificate made again is the same bytes.
 */
import { p256 } from '@noble/curves/nist.js'

/** What a private key is made from: enough that no scalar is likelier than another (FIPS 186-5 A.2.1). */
export const p256SeedBytes = 48

/** @returns the private scalar, big-endian */
export function p256PrivateKey(seed: Uint8Array): Buffer {
  if (seed.length !== p256SeedBytes) throw new Error(`a P-256 seed has ${p256SeedBytes} bytes`)
  return Buffer.from(p256.utils.randomSecretKey(Uint8Array.from(seed)))
}

/** @returns the uncompressed point: 04, x, y */
export const p256PublicKey = (privateKey: Uint8Array): Buffer =>
  Buffer.from(p256.getPublicKey(Uint8Array.from(privateKey), false))

/** @returns the signature over the message's SHA-256, as DER */
export const signP256 = (privateKey: Uint8Array, message: Uint8Array): Buffer =>
  Buffer.from(
    p256.sign(Uint8Array.from(message), Uint8Array.from(privateKey), { lowS: false, format: 'der' }),
  )
