/**
 * The blocks of an .xz file that is still being downloaded, from its start.
 *
 * The index stands at the end; but `xz -T`, which publishers use, writes into
 * each block's header how long it is, so blocks can be found one after the
 * other and decoded while the next are coming. At the end the index is read
 * as always, and must agree. A file whose headers are silent is waited for.
 * Source: The .xz File Format, version 1.2.0, §2.1.1 and §3.1.
 */
import { crc32 } from 'node:zlib'
import { alignUp } from '../units.ts'
import { brokenFile, type PackedFile, readUpTo } from './decoding.ts'
import { HEADER_MAX_BYTES, readBlockHeader } from './xz-block-header.ts'
import {
  CHECK_BYTES,
  readCheckId,
  readXzBlocks,
  STREAM_HEADER_BYTES,
  STREAM_MAGIC,
  type XzBlock,
} from './xz-index.ts'

/**
 * The first block, if its header says how long it is.
 * @throws {FormatError} a damaged header
 */
export async function readFirstBlock(file: PackedFile): Promise<XzBlock | undefined> {
  return readBlockAt(file, STREAM_HEADER_BYTES, await readCheck(file))
}

/**
 * All blocks of the file in order, each as soon as all of its bytes are there.
 * @throws {FormatError} damaged, or its index says otherwise
 */
export async function* followXzBlocks(file: PackedFile, signal: AbortSignal): AsyncGenerator<XzBlock> {
  const check = await readCheck(file)
  const found: XzBlock[] = []
  for (let at = STREAM_HEADER_BYTES; ; ) {
    signal.throwIfAborted()
    const block = await readBlockAt(file, at, check)
    if (block === undefined) break
    at += alignUp(block.unpaddedSize, 4)
    if (at > file.size) throw brokenFile(file, 'xz', block.offset, 'a block is longer than the file')
    await file.reach?.(at)
    found.push(block)
    yield block
  }
  await file.reach?.(file.size)
  const all = await readXzBlocks(file, signal)
  for (const [number, { offset, unpaddedSize, size }] of found.entries()) {
    const listed = all[number]
    if (listed?.offset !== offset || listed.unpaddedSize !== unpaddedSize || listed.size !== size)
      throw brokenFile(file, 'xz', offset, 'the header of a block and the index differ')
  }
  // Silent headers, or further streams behind the first.
  yield* all.slice(found.length)
}

async function readCheck(file: PackedFile): Promise<number> {
  const header = await readUpTo(file, 0, STREAM_HEADER_BYTES)
  const isWhole =
    header.length === STREAM_HEADER_BYTES &&
    STREAM_MAGIC.every((byte, index) => header[index] === byte) &&
    crc32(header.subarray(6, 8)) === header.readUInt32LE(8)
  if (!isWhole) throw brokenFile(file, 'xz', 0, 'the stream header is damaged')
  return readCheckId(file, header.subarray(6, 8), 6)
}

/** @returns undefined: the blocks end here, or the header does not say how long the block is */
async function readBlockAt(file: PackedFile, offset: number, check: number): Promise<XzBlock | undefined> {
  const start = await readUpTo(file, offset, HEADER_MAX_BYTES)
  if (start.length === 0 || start[0] === 0) return undefined
  const { sizes, ...header } = readBlockHeader(file, offset, start)
  if (sizes === undefined) return undefined
  const checkBytes = CHECK_BYTES[check] ?? 0
  const unpaddedSize = header.headerBytes + sizes.packed + checkBytes
  return { ...header, offset, unpaddedSize, size: sizes.unpacked, check, checkBytes }
}
