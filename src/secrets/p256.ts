/**
 * ECDSA on P-256 whose keys and signatures follow from their input alone.
 *
 * OpenSSL takes a random number for each signature; here it is derived from key
 * and message (RFC 6979), so that a certificate made again is the same bytes.
 * Multiplying points is left to OpenSSL; what remains is arithmetic modulo the
 * group's order. It runs where cards are made, never in answer to a stranger,
 * so its timing tells nobody anything.
 */
import { createECDH, createHash, createHmac } from 'node:crypto'
import { integer, sequence } from './der.ts'

const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
export const scalarBytes = 32
/** What a private key is made from: enough that no scalar is likelier than another (FIPS 186-5 A.2.1). */
export const p256SeedBytes = 48

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const toBytes = (number: bigint): Buffer => Buffer.from(number.toString(16).padStart(64, '0'), 'hex')
const modulo = (number: bigint): bigint => ((number % order) + order) % order

/** @returns the private scalar, big-endian */
export function p256PrivateKey(seed: Uint8Array): Buffer {
  if (seed.length !== p256SeedBytes) throw new Error(`a P-256 seed has ${p256SeedBytes} bytes`)
  return toBytes((toNumber(seed) % (order - 1n)) + 1n)
}

/** @returns the uncompressed point: 04, x, y */
export function p256PublicKey(privateKey: Uint8Array): Buffer {
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(privateKey)
  return ecdh.getPublicKey()
}

/** @returns the signature over the message's SHA-256, as DER */
export function signP256(privateKey: Uint8Array, message: Uint8Array): Buffer {
  const digest = createHash('sha256').update(message).digest()
  const key = toNumber(privateKey)
  for (const nonce of nonces(privateKey, toBytes(modulo(toNumber(digest))))) {
    const r = modulo(toNumber(p256PublicKey(toBytes(nonce)).subarray(1, 1 + scalarBytes)))
    const s = modulo(inverse(nonce) * (toNumber(digest) + r * key))
    if (r !== 0n && s !== 0n) return sequence(integer(toBytes(r)), integer(toBytes(s)))
  }
  throw new Error('no nonce; impossible')
}

/** RFC 6979 §3.2, from step b. */
function* nonces(privateKey: Uint8Array, digest: Uint8Array): Generator<bigint> {
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]) =>
    createHmac('sha256', key).update(Buffer.concat(parts)).digest()
  let v: Buffer = Buffer.alloc(32, 1)
  let k: Buffer = Buffer.alloc(32, 0)
  for (const mark of [0, 1]) {
    k = hmac(k, v, Buffer.from([mark]), privateKey, digest)
    v = hmac(k, v)
  }
  for (;;) {
    v = hmac(k, v)
    const nonce = toNumber(v)
    if (nonce > 0n && nonce < order) yield nonce
    k = hmac(k, v, Buffer.from([0]))
    v = hmac(k, v)
  }
}

/** By the extended Euclidean algorithm. */
function inverse(number: bigint): bigint {
  let [a, b, x, y] = [modulo(number), order, 1n, 0n]
  while (b !== 0n) {
    const quotient = a / b
    ;[a, b] = [b, a - quotient * b]
    ;[x, y] = [y, x - quotient * y]
  }
  return modulo(x)
}
