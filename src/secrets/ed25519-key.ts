/**
 * An ed25519 key pair in OpenSSH's own formats, made from a 32-byte seed.
 *
 * Node exports private keys only as PKCS8, which sshd of older systems does not
 * read for ed25519; so the container `openssh-key-v1` is written here. The two
 * check integers, random in OpenSSH, come from the public key: same seed, same file.
 *
 * Source: OpenSSH PROTOCOL.key (container), RFC 8709 (key blob), RFC 8032 (ed25519).
 */

import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { Secret } from '../secret.ts'
import { trimEnd } from '../trim-end.ts'

export const seedBytes = 32
const type = 'ssh-ed25519'
/** PKCS8 around an ed25519 seed: everything but the seed is fixed (RFC 8410 §7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const lineWidth = 70

export interface SshKeyPair {
  /** The private key file, ending in a newline; mode 0600 is the writer's duty. */
  privateKey: Secret
  /** `ssh-ed25519 AAAA… comment`, without newline. */
  publicLine: string
  /** `SHA256:…`, as `ssh-keygen -l` shows it. */
  fingerprint: string
}

/**
 * @param seed 32 secret bytes
 * @param comment printable, without line break; usually the node's name
 */
export function makeEd25519Key(seed: Uint8Array, comment: string): SshKeyPair {
  if (seed.length !== seedBytes) throw new Error(`an ed25519 seed has ${seedBytes} bytes`)
  if (/[^\x20-\x7e]/.test(comment)) throw new Error('a key comment is printable ASCII')
  const publicKey = publicKeyOf(seed)
  const blob = Buffer.concat([field(type), field(publicKey)])
  const check = createHash('sha256').update('openssh-key-v1 check').update(blob).digest().subarray(0, 4)

  const inner = Buffer.concat([check, check, blob, field(Buffer.concat([seed, publicKey])), field(comment)])
  // Padded to the cipher's block, 8 bytes for "none", with 1, 2, 3…
  const padding = Buffer.from(Array.from({ length: (8 - (inner.length % 8)) % 8 }, (_, index) => index + 1))
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    uint32(1),
    field(blob),
    field(Buffer.concat([inner, padding])),
  ])
  const lines = file.toString('base64').match(new RegExp(`.{1,${lineWidth}}`, 'g')) ?? []
  const text = [
    '-----BEGIN OPENSSH PRIVATE KEY-----',
    ...lines,
    '-----END OPENSSH PRIVATE KEY-----',
    '',
  ].join('\n')
  return {
    privateKey: new Secret(text),
    publicLine: `${type} ${blob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`,
    fingerprint: fingerprintOf(blob),
  }
}

/** `SHA256:` and the unpadded base64 of a public key blob's digest. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${trimEnd(createHash('sha256').update(blob).digest('base64'), '=')}`
}

function publicKeyOf(seed: Uint8Array): Buffer {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-seedBytes)
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function field(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint32(bytes.length), bytes])
}
