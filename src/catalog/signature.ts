/**
 * Detached OpenPGP signatures over files of any size.
 *
 * openpgp reads the key and the signature packet, finds the signing key and
 * judges it (bound, not expired, not revoked); the digest that was signed is
 * made here with node:crypto, a MiB at a time, because openpgp's own streams
 * buffer the file. Source: RFC 9580, 5.2.4 "Computing Signatures".
 *
 * Key and signature must hold today, whatever day the signature names: whoever
 * has stolen an expired key can write an old date.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { LiteralDataPacket, SignaturePacket } from 'openpgp'
import { FetchError } from '../errors.ts'
import type { Task } from '../progress.ts'
import { MiB } from '../units.ts'

export interface SignatureCheck {
  /** The signed file. */
  path: string
  subject: string
  signature: { bytes: Uint8Array; url: string }
  key: { bytes: Uint8Array; url: string }
  /** Of the only primary key we believe; 40 upper-case hex digits. */
  fingerprint: string
}

/** OpenPGP's numbers; weaker ones are not accepted. */
const hashNames: Record<number, string> = { 8: 'sha256', 9: 'sha384', 10: 'sha512' }

/** What openpgp's packet can do that its types leave out. */
interface HashingPacket {
  /** `data`, and after it what else is signed with it. */
  toHash(type: number, data: unknown, detached: boolean): Uint8Array
  /** The finished digest; then verify() needs no data. */
  hashed: Promise<Uint8Array>
}

/** @throws {FetchError} another key, another file, or not a signature at all; says which */
export async function checkSignature(check: SignatureCheck, task: Task): Promise<void> {
  const openpgp = await import('openpgp')
  const key = await readPinnedKey(check)
  const packet = await readPacket(check)
  const hashName = hashNames[packet.hashAlgorithm ?? 0]
  if (packet.version !== 4 || hashName === undefined) {
    throw bad(check, `is of version ${packet.version} with hash algorithm ${packet.hashAlgorithm}`)
  }
  // A certificate, say, is signed over bytes that could be offered as a file.
  if (packet.signatureType !== openpgp.enums.signature.binary) {
    throw bad(check, `is of type ${packet.signatureType}, which is not made over a file`)
  }
  try {
    const signing = await key.getSigningKey(packet.issuerKeyID)
    if ((packet.created ?? 0) < signing.keyPacket.created) throw new Error('it is older than its key')
    const hashing = packet as unknown as HashingPacket
    const nothing = (await openpgp.createMessage({ binary: new Uint8Array() }))
      .packets[0] as LiteralDataPacket
    const tail = hashing.toHash(openpgp.enums.signature.binary, nothing, true)
    hashing.hashed = Promise.resolve(await digestWithTail(hashName, check, tail, task))
    await packet.verify(signing.keyPacket, openpgp.enums.signature.binary, nothing, new Date(), true)
  } catch (error) {
    task.signal.throwIfAborted()
    throw bad(check, `does not hold: ${(error as Error).message}`)
  }
}

async function readPinnedKey({ key, fingerprint }: SignatureCheck) {
  const openpgp = await import('openpgp')
  const keys = await (isArmored(key.bytes)
    ? openpgp.readKeys({ armoredKeys: text(key.bytes) })
    : openpgp.readKeys({ binaryKeys: key.bytes })
  ).catch((cause) => {
    throw new FetchError(`${key.url} is not an OpenPGP key`, { cause })
  })
  const found = keys.find((one) => one.getFingerprint().toUpperCase() === fingerprint)
  if (found !== undefined) return found
  const has = keys.map((one) => one.getFingerprint().toUpperCase()).join(', ')
  throw new FetchError(`${key.url} has the key ${has}; piimage trusts only ${fingerprint}`, {
    hint: 'Nothing was locked. If the publisher changed its key, a newer piimage knows it',
  })
}

async function readPacket(check: SignatureCheck): Promise<SignaturePacket> {
  const openpgp = await import('openpgp')
  const { bytes } = check.signature
  try {
    const signature = await (isArmored(bytes)
      ? openpgp.readSignature({ armoredSignature: text(bytes) })
      : openpgp.readSignature({ binarySignature: bytes }))
    const packets = signature.packets.filter((packet) => packet instanceof openpgp.SignaturePacket)
    const [packet] = packets
    if (packet !== undefined && packets.length === 1) return packet
    throw new Error(`${packets.length} signatures`)
  } catch (error) {
    throw bad(check, `can't be read: ${(error as Error).message}`)
  }
}

async function digestWithTail(
  name: string,
  check: SignatureCheck,
  tail: Uint8Array,
  task: Task,
): Promise<Uint8Array> {
  const hash = createHash(name)
  let bytes = 0
  for await (const chunk of createReadStream(check.path, { highWaterMark: MiB, signal: task.signal })) {
    hash.update(chunk)
    bytes += chunk.length
    task.report({ phase: 'check', subject: check.subject, bytes, totalBytes: null })
  }
  return hash.update(tail).digest()
}

const bad = (check: SignatureCheck, what: string): FetchError =>
  new FetchError(`the signature ${check.signature.url} over ${check.subject} ${what}`, {
    hint: 'Nothing was locked. Do not use this download; ask the publisher',
  })

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const isArmored = (bytes: Uint8Array): boolean => text(bytes.subarray(0, 64)).includes('-----BEGIN PGP')
