/**
 * Files with holes in an archive: which parts of a file the packed bytes are.
 *
 * Five forms are about. In POSIX archives GNU tar has written the map into the
 * records (0.0, 0.1) and, since 1.16, before the data (1.0, as ./pax.ts formats
 * it); in its own format it stands in the header, type `S`, and in blocks behind
 * it. Those of star and Solaris are refused by name.
 *
 * Source: GNU tar manual, "Storing Sparse Files" and "Basic Tar Format".
 */
import type { Range } from '../disk/blocks.ts'
import { MiB } from '../units.ts'
import type { ByteFeed } from './byte-feed.ts'
import { readTarNumber, TAR_BLOCK_BYTES } from './tar-header.ts'

export interface SparseMap {
  /** The parts that hold data, in order. */
  data: Range[]
  /** Of the file with its holes. */
  size: number
  /** How much of the entry's body the map takes. */
  mapBytes: number
}

/** By keyword; the values are bytes. */
export type Records = ReadonlyMap<string, Buffer>

const MAX_MAP_BYTES = 16 * MiB
/** Kept under one keyword: version 0.0 has a record for each number. */
export const MAP_RECORD = 'GNU.sparse.map'
export const isMapNumber = (keyword: string): boolean =>
  keyword === 'GNU.sparse.offset' || keyword === 'GNU.sparse.numbytes'

/**
 * @param header the entry's own block
 * @param packedBytes of the entry's body, map included
 * @param bad makes the error of a sentence
 * @returns undefined: a file without holes
 * @throws {FormatError} a map that can't be, or of a form that isn't read
 */
export async function readSparseMap(
  feed: ByteFeed,
  header: { type: string; block: Buffer },
  records: Records,
  packedBytes: number,
  bad: (what: string) => Error,
): Promise<SparseMap | undefined> {
  const number = (keyword: string) => numberOf(records, keyword)
  const finish = (numbers: readonly number[], size: number | undefined, mapBytes: number): SparseMap => {
    const data = rangesOf(numbers, bad)
    const last = data.at(-1)
    const dataBytes = data.reduce((sum, { length }) => sum + length, 0)
    if (size === undefined || (last !== undefined && last.offset + last.length > size))
      throw bad('its data reaches past its end')
    if (dataBytes !== packedBytes - mapBytes) throw bad('its data and the map of its holes differ')
    return { data: data.filter(({ length }) => length > 0), size, mapBytes }
  }

  if (header.type === 'S') {
    if (header.block.toString('latin1', 257, 265) !== 'ustar  \0')
      throw bad('holes in the form of star, which isn’t read')
    const { numbers, size } = await readOldMap(feed, header.block, bad)
    return finish(numbers, size, 0)
  }
  const version = ['major', 'minor'].map((part) => number(`GNU.sparse.${part}`))
  if (version[0] !== undefined && version.join('.') !== '1.0')
    throw bad(`holes in the form ${version.map((part) => part ?? '?').join('.')}, which isn't read`)
  if (version[0] === 1) {
    const { numbers, mapBytes } = await readMapBeforeData(feed, packedBytes, bad)
    return finish(numbers, number('GNU.sparse.realsize'), mapBytes)
  }
  const size = number('GNU.sparse.size')
  if (size !== undefined || records.has(MAP_RECORD)) {
    const text = records.get(MAP_RECORD)?.toString('latin1') ?? ''
    const numbers = text === '' ? [] : text.split(',').map(readNumber)
    if (numbers.includes(Number.NaN)) throw bad('the map of its holes has no numbers')
    const count = number('GNU.sparse.numblocks')
    if (count !== undefined && numbers.length !== 2 * count) throw bad('the map of its holes is not whole')
    return finish(numbers, size, 0)
  }
  for (const [keyword, program] of [
    ['SUN.holesdata', 'Solaris'],
    ['SCHILY.realsize', 'star'],
  ] as const)
    if (records.has(keyword)) throw bad(`holes in the form of ${program}, which isn’t read`)
  return undefined
}

const readNumber = (text: string): number => (/^\d{1,16}$/.test(text) ? Number(text) : Number.NaN)

export function numberOf(records: Records, keyword: string): number | undefined {
  const value = readNumber(records.get(keyword)?.toString('latin1') ?? '')
  return Number.isNaN(value) ? undefined : value
}

/** Pairs of offset and length → parts of the file, in order and apart. */
function rangesOf(numbers: readonly number[], bad: (what: string) => Error): Range[] {
  if (numbers.length % 2 === 1) throw bad('the map of its holes is not whole')
  const data: Range[] = []
  let end = 0
  for (let index = 0; index < numbers.length; index += 2) {
    const [offset = -1, length = -1] = numbers.slice(index, index + 2)
    if (!(Number.isSafeInteger(offset + length) && offset >= end && length >= 0))
      throw bad(`data of ${length} bytes at ${offset}`)
    end = offset + length
    data.push({ offset, length })
  }
  return data
}

/** 1.0: how many there are, then the numbers, a line each, in whole blocks. */
async function readMapBeforeData(feed: ByteFeed, packedBytes: number, bad: (what: string) => Error) {
  let text = ''
  let numbers: number[] = []
  let mapBytes = 0
  do {
    if (mapBytes + TAR_BLOCK_BYTES > Math.min(packedBytes, MAX_MAP_BYTES))
      throw bad('the map of its holes does not end')
    text += (await feed.read(TAR_BLOCK_BYTES)).toString('latin1')
    mapBytes += TAR_BLOCK_BYTES
    numbers = text.split('\n').slice(0, -1).map(readNumber)
    if (numbers.includes(Number.NaN)) throw bad('the map of its holes has no numbers')
  } while (numbers.length === 0 || numbers.length < 1 + (numbers[0] as number) * 2)
  return { numbers: numbers.slice(1, 1 + (numbers[0] as number) * 2), mapBytes }
}

/** Pairs of 12 digits: four in the header, 21 in each block behind it as long as there are more. */
const OLD = { pairs: 386, count: 4, more: 482, size: 483 }
const OLD_MORE = { pairs: 0, count: 21, more: 504 }
const FIELD_BYTES = 12

async function readOldMap(feed: ByteFeed, header: Buffer, bad: (what: string) => Error) {
  const numbers: number[] = []
  const take = (block: Buffer, { pairs, count }: { pairs: number; count: number }) => {
    for (let index = 0; index < count; index += 1) {
      const at = pairs + 2 * index * FIELD_BYTES
      // A pair that begins with a zero byte ends the list.
      if (block[at] === 0) return
      for (const field of [at, at + FIELD_BYTES])
        numbers.push(readTarNumber(block, [field, FIELD_BYTES]) ?? Number.NaN)
    }
  }
  // The feed gives its buffer to the next block.
  const size = readTarNumber(header, [OLD.size, FIELD_BYTES])
  let more = header[OLD.more] !== 0
  take(header, OLD)
  for (let bytes = 0; more; bytes += TAR_BLOCK_BYTES) {
    if (bytes > MAX_MAP_BYTES) throw bad('the map of its holes does not end')
    const block = await feed.read(TAR_BLOCK_BYTES)
    more = block[OLD_MORE.more] !== 0
    take(block, OLD_MORE)
  }
  if (numbers.includes(Number.NaN)) throw bad('the map of its holes has no numbers')
  return { numbers, size }
}
