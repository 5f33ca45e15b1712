/** Bytes that look random, differ at every offset, and are the same in every run. */
import { createCipheriv, createHash } from 'node:crypto'

/** `length` bytes that depend only on `seed`. */
export function patternBytes(seed: string, length: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

/** Whole numbers from 0 to `below`-1, the same for the same seed. */
export function patternNumbers(seed: string, count: number, below: number): number[] {
  const bytes = patternBytes(seed, count * 6)
  return Array.from({ length: count }, (_, index) => bytes.readUIntBE(index * 6, 6) % below)
}
