/**
 * TFTP packets: bytes ↔ values.
 *
 * Source: RFC 1350 (the protocol), RFC 2347 (options), RFC 2348 (blksize),
 * RFC 2349 (tsize).
 */
import { FormatError } from '../../errors.ts'

export type TftpPacket =
  | { kind: 'data'; block: number; bytes: Uint8Array }
  | { kind: 'error'; code: number; message: string }
  | { kind: 'options'; options: Map<string, string> }

/** Error codes of RFC 1350 that this room tells apart. */
export const TFTP_ERROR = { notDefined: 0, notFound: 1, accessViolation: 2 } as const

/** @throws {FormatError} nothing a server sends */
export function readTftpPacket(bytes: Uint8Array): TftpPacket {
  const packet = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const kind = packet.length >= 4 ? packet.readUInt16BE(0) : 0
  if (kind === 3) return { kind: 'data', block: packet.readUInt16BE(2), bytes: packet.subarray(4) }
  if (kind === 5) {
    const message = packet.toString('utf8', 4).split('\0', 1)[0] ?? ''
    return { kind: 'error', code: packet.readUInt16BE(2), message }
  }
  if (kind === 6) {
    const words = packet.toString('latin1', 2).split('\0')
    const options = new Map<string, string>()
    for (let index = 0; index + 1 < words.length; index += 2)
      options.set((words[index] ?? '').toLowerCase(), words[index + 1] ?? '')
    return { kind: 'options', options }
  }
  throw new FormatError(`a TFTP packet of ${packet.length} bytes has operation ${kind}`)
}

/** Read `path` as bytes, in blocks of that many, and say how long it is. */
export function formatReadRequest(path: string, blockBytes: number): Uint8Array {
  const words = [path, 'octet', 'tsize', '0', 'blksize', String(blockBytes)]
  return Buffer.concat([Buffer.of(0, 1), Buffer.from(words.map((word) => `${word}\0`).join(''))])
}

export function formatAck(block: number): Uint8Array {
  const packet = Buffer.of(0, 4, 0, 0)
  packet.writeUInt16BE(block, 2)
  return packet
}

export const formatTftpError = (code: number, message: string): Uint8Array =>
  Buffer.concat([Buffer.of(0, 5, 0, code), Buffer.from(`${message}\0`)])
