/**
 * A changed copy of an input: flipped bits, numbers at the edges of their range
 * in either byte order, pieces copied from elsewhere or from another input,
 * words of the format; for text also insertions and deletions.
 */
import type { Random } from './random.ts'
import type { FuzzTarget } from './target.ts'

/** Where lengths, counts and offsets go wrong. */
const EDGES = [0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 511, 512, 1024, 4095, 4096, 0x7fff, 0x8000, 0xffff]
const WIDE_EDGES = [...EDGES, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff]
const MOST_CHANGES = 6
const LONGEST_PIECE = 64
/** Inputs don't grow for ever. */
const LONGEST_INPUT = 1024 * 1024

export function mutate(
  input: Uint8Array,
  other: Uint8Array,
  target: Pick<FuzzTarget, 'kind' | 'dictionary'>,
  random: Random,
): Uint8Array {
  let bytes: Buffer = Buffer.from(input)
  const changes = target.kind === 'text' ? textChanges : binaryChanges
  for (let left = 1 + random.below(MOST_CHANGES); left > 0; left -= 1) {
    bytes = random.pick(changes)(bytes, other, target.dictionary ?? [], random)
  }
  return bytes.subarray(0, LONGEST_INPUT)
}

type Change = (bytes: Buffer, other: Uint8Array, words: readonly string[], random: Random) => Buffer

/** A place that says something: most of a disk structure is zeroes. */
function place(bytes: Buffer, random: Random): number {
  for (let tries = 0; tries < 8; tries += 1) {
    const at = random.below(bytes.length)
    if (bytes[at] !== 0) return at
  }
  return random.below(bytes.length)
}

const flipBit: Change = (bytes, _other, _words, random) => {
  const at = place(bytes, random)
  if (bytes.length > 0) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
  return bytes
}

const setByte: Change = (bytes, _other, _words, random) => {
  if (bytes.length > 0) bytes[place(bytes, random)] = random.below(256)
  return bytes
}

const setNumber: Change = (bytes, _other, _words, random) => {
  const width = random.once(2) ? 4 : 2
  if (bytes.length < width) return bytes
  const near = Math.min(place(bytes, random), bytes.length - width)
  const at = random.once(4) ? near : near - (near % width)
  const little = !random.once(4)
  const old = little ? bytes.readUIntLE(at, width) : bytes.readUIntBE(at, width)
  const wanted = random.once(3) ? old + random.below(33) - 16 : random.pick(width === 4 ? WIDE_EDGES : EDGES)
  const range = 2 ** (8 * width)
  const value = ((wanted % range) + range) % range
  if (little) bytes.writeUIntLE(value, at, width)
  else bytes.writeUIntBE(value, at, width)
  return bytes
}

const copyWithin: Change = (bytes, _other, _words, random) => {
  const length = 1 + random.below(LONGEST_PIECE)
  const from = place(bytes, random)
  bytes.copyWithin(random.below(bytes.length), from, Math.min(bytes.length, from + length))
  return bytes
}

const copyOther: Change = (bytes, other, _words, random) => {
  const length = 1 + random.below(random.once(4) ? other.length : LONGEST_PIECE)
  const from = random.below(other.length)
  bytes.set(
    other.subarray(from, Math.min(from + length, from + bytes.length - Math.min(from, bytes.length))),
    Math.min(from, bytes.length),
  )
  return bytes
}

const overwriteWord: Change = (bytes, _other, words, random) => {
  if (words.length === 0) return setByte(bytes, bytes, words, random)
  const word = Buffer.from(random.pick(words))
  word.copy(bytes, place(bytes, random))
  return bytes
}

const truncate: Change = (bytes, _other, _words, random) =>
  random.once(4) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes

const insertWord: Change = (bytes, other, words, random) => {
  if (words.length === 0) return insertPiece(bytes, other, words, random)
  const at = random.below(bytes.length + 1)
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(words)), bytes.subarray(at)])
}

const insertPiece: Change = (bytes, other, _words, random) => {
  const from = random.below(other.length)
  const piece = other.subarray(from, from + 1 + random.below(LONGEST_PIECE))
  const at = random.below(bytes.length + 1)
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])
}

const remove: Change = (bytes, _other, _words, random) => {
  const at = random.below(bytes.length)
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(LONGEST_PIECE))])
}

const repeatPiece: Change = (bytes, _other, _words, random) => {
  const from = random.below(bytes.length)
  const piece = bytes.subarray(from, from + 1 + random.below(LONGEST_PIECE))
  const times = 1 + random.below(random.once(8) ? 200 : 3)
  return Buffer.concat([bytes.subarray(0, from), ...Array<Buffer>(times).fill(piece), bytes.subarray(from)])
}

const binaryChanges = [
  flipBit,
  setByte,
  setNumber,
  setNumber,
  setNumber,
  copyWithin,
  copyOther,
  overwriteWord,
  truncate,
]
const textChanges = [
  flipBit,
  setByte,
  insertWord,
  insertWord,
  insertPiece,
  remove,
  repeatPiece,
  copyOther,
  truncate,
]
