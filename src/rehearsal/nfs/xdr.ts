/**
 * XDR: the few types that ONC RPC and NFS version 3 are written in.
 *
 * Source: RFC 4506. All is big-endian, in units of four bytes.
 */
import { FormatError } from '../../errors.ts'

const padding = (length: number): number => (4 - (length % 4)) % 4

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export const opaque = (value: Uint8Array): Buffer =>
  Buffer.concat([uint32(value.length), value, Buffer.alloc(padding(value.length))])

export const text = (value: string): Buffer => opaque(Buffer.from(value))

export class XdrReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** @throws {FormatError} fewer bytes are left */
  bytes(length: number): Buffer {
    const offset = this.#offset
    if (offset + length > this.#bytes.length)
      throw new FormatError(
        `an RPC answer of ${this.#bytes.length} bytes ends within a value at byte ${offset}`,
      )
    this.#offset = offset + length
    return this.#bytes.subarray(offset, offset + length)
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE(0)
  }

  opaque(): Buffer {
    const length = this.uint32()
    const value = this.bytes(length)
    this.bytes(padding(length))
    return value
  }

  text(): string {
    return this.opaque().toString('utf8')
  }
}
