/** A stream of chunks, read by counts of bytes. */
import { FormatError } from '../errors.ts'

export class ByteFeed {
  /** Bytes handed out so far: where in the stream the next one stands. */
  offset = 0
  readonly #source: AsyncIterator<Uint8Array>
  readonly #name: string
  #rest: Buffer = Buffer.alloc(0)

  /** @param name of the stream, for errors */
  constructor(chunks: AsyncIterable<Uint8Array>, name: string) {
    this.#source = chunks[Symbol.asyncIterator]()
    this.#name = name
  }

  /** Exactly `length` bytes. @throws {FormatError} the stream ends before */
  async read(length: number): Promise<Buffer> {
    if (this.#rest.length >= length) return this.#take(length)
    const parts: Buffer[] = []
    for await (const part of this.pieces(length)) parts.push(Buffer.from(part))
    return Buffer.concat(parts)
  }

  /** The same in pieces as they come, good until the next is asked for. */
  async *pieces(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more()))
        throw new FormatError(`${this.#name} ends at byte ${this.offset}, ${left} bytes early`)
      const piece = this.#take(Math.min(left, this.#rest.length))
      left -= piece.length
      yield piece
    }
  }

  /** Everything up to the end, whatever it is. */
  async drain(): Promise<void> {
    do this.#take(this.#rest.length)
    while (await this.#more())
  }

  /** Let go of the source. */
  async close(): Promise<void> {
    await this.#source.return?.()
  }

  #take(length: number): Buffer {
    const taken = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    this.offset += length
    return taken
  }

  async #more(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next()
      if (done === true) return false
      this.#rest = Buffer.from(value.buffer, value.byteOffset, value.length)
    }
    return true
  }
}
