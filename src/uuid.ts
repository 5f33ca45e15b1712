/** UUIDs that follow from something, so that the same input has the same one on every run. RFC 9562. */
import { createHash } from 'node:crypto'

/** 16 bytes in the usual notation, as they are. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, 16)).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** 16 bytes with the bits that say the version (4: random, 8: made in a way of one's own) and the variant. */
export function uuidFrom(bytes: Uint8Array, version: 4 | 8): string {
  const uuid = Buffer.from(bytes.subarray(0, 16))
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | (version << 4)
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80
  return formatUuid(uuid)
}

/** A version 8 UUID of a text. */
export const uuidOf = (text: string): string => uuidFrom(createHash('sha256').update(text).digest(), 8)

/** The digest of a text as it is, without those bits: UUIDs of file systems, and what exports are told apart by. */
export const bareUuidOf = (text: string): string => formatUuid(createHash('sha256').update(text).digest())
