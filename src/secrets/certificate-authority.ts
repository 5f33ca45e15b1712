/**
 * A cluster's certificate authority, made before any node ran: a self-signed
 * X.509 certificate on a P-256 key, so that workers can know the head by it.
 *
 * Same key, same bytes: serial and key identifiers come from the public key,
 * the signature is deterministic (./p256.ts), and the dates are fixed. It is
 * valid from 1970 because a Pi wakes up there, and until the end of 2099.
 *
 * Source: RFC 5280 (certificate), RFC 5480 and RFC 5915 (key), RFC 5758 (signature).
 */
import { createHash } from 'node:crypto'
import { sha256 } from '../digest.ts'
import { Secret } from '../secret.ts'
import {
  bitString,
  boolean,
  formatPem,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  tagged,
  time,
  utf8String,
} from './der.ts'
import { p256PrivateKey, p256PublicKey, signP256 } from './p256.ts'

export interface CertificateAuthority {
  /** PEM; public. */
  certificate: string
  /** PEM, `EC PRIVATE KEY`. */
  privateKey: Secret
  /** sha256 of the SubjectPublicKeyInfo, hex. */
  publicKeyDigest: string
  /** sha256 of the certificate's PEM file, hex. */
  certificateDigest: string
}

const oid = {
  ecPublicKey: '1.2.840.10045.2.1',
  prime256v1: '1.2.840.10045.3.1.7',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
} as const

const validFrom = new Date('1970-01-01T00:00:00Z')
const validUntil = new Date('2099-12-31T23:59:59Z')

/**
 * @param seed 48 secret bytes
 * @param commonName of subject and issuer
 */
export function makeCertificateAuthority(seed: Uint8Array, commonName: string): CertificateAuthority {
  const privateKey = p256PrivateKey(seed)
  const point = p256PublicKey(privateKey)
  const spki = sequence(
    sequence(objectIdentifier(oid.ecPublicKey), objectIdentifier(oid.prime256v1)),
    bitString(point),
  )
  const spkiDigest = createHash('sha256').update(spki).digest()
  const name = sequence(set(sequence(objectIdentifier(oid.commonName), utf8String(commonName))))
  const algorithm = sequence(objectIdentifier(oid.ecdsaWithSha256))
  const keyIdentifier = createHash('sha1').update(point).digest()
  // Version 3; the serial is positive and below 2^128.
  const toBeSigned = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), spkiDigest.subarray(0, 15)])),
    algorithm,
    name,
    sequence(time(validFrom), time(validUntil)),
    name,
    spki,
    tagged(
      3,
      sequence(
        extension(oid.basicConstraints, sequence(boolean(true)), true),
        // digitalSignature, keyEncipherment, keyCertSign: bits 0, 2 and 5.
        extension(oid.keyUsage, bitString(Buffer.from([0b1010_0100]), 2), true),
        extension(oid.subjectKeyIdentifier, octetString(keyIdentifier), false),
      ),
    ),
  )
  const certificate = formatPem(
    'CERTIFICATE',
    sequence(toBeSigned, algorithm, bitString(signP256(privateKey, toBeSigned))),
  )
  const key = sequence(
    integer(Buffer.from([1])),
    octetString(privateKey),
    tagged(0, objectIdentifier(oid.prime256v1)),
    tagged(1, bitString(point)),
  )
  return {
    certificate,
    privateKey: new Secret(formatPem('EC PRIVATE KEY', key)),
    publicKeyDigest: spkiDigest.toString('hex'),
    certificateDigest: sha256(certificate),
  }
}

const extension = (id: string, value: Uint8Array, critical: boolean): Buffer =>
  critical
    ? sequence(objectIdentifier(id), boolean(true), octetString(value))
    : sequence(objectIdentifier(id), octetString(value))
