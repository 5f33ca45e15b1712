/**
 * Extents: which runs of blocks hold a file's contents, as a tree whose root
 * lies in the inode.
 *
 * The tree is walked, never loaded; a part of the file that is not asked for
 * costs no reading. What the tree leaves out is a hole.
 *
 * Not here: the block lists of ext2 and ext3 (./indirect.ts).
 * Source: Linux Documentation/filesystems/ext4/ifork.rst ("Extent Tree").
 */
import { crc32c } from './checksum.ts'
import { damaged } from './damage.ts'
import { type Inode, MAP_OFFSET } from './inode.ts'
import { checkBlocks, type OpenVolume, readBlock } from './open-volume.ts'

export interface Extent {
  /** Number of the first block within the file. */
  fileBlock: number
  /** Number of the first block within the volume. */
  diskBlock: number
  count: number
  /** Allocated but never written: reads as zeroes. */
  unwritten: boolean
}

/** A run of file blocks, `to` exclusive. */
export interface BlockSpan {
  from: number
  to: number
}

const HEADER_BYTES = 12
const ENTRY_BYTES = 12
const MAX_DEPTH = 5
/** A longer count means: so many blocks more than this, unwritten. */
const WRITTEN_MAX = 32768

interface Node {
  raw: Buffer
  /** Byte of the volume. */
  offset: number
  depth: number
  entries: number
  /** The file blocks this node may speak of. */
  span: BlockSpan
}

/**
 * The extents that reach into `wanted`, whole, in file order.
 *
 * @throws {FormatError} a node without magic number, with a wrong checksum or depth, out of order, or
 *   pointing outside the volume
 */
export async function* readExtentTree(
  volume: OpenVolume,
  inode: Inode,
  wanted: BlockSpan,
): AsyncGenerator<Extent> {
  const offset = inode.offset + MAP_OFFSET
  const root = checkNode(inode, { raw: inode.map, offset, span: { from: 0, to: 2 ** 32 } })
  if (root.depth === 0) yield* leafExtents(volume, inode, root, wanted)
  else yield* nodeExtents(volume, inode, root, wanted, new Set())
}

/** @param seen blocks of the tree above and before: none may come twice */
async function* nodeExtents(
  volume: OpenVolume,
  inode: Inode,
  node: Node,
  wanted: BlockSpan,
  seen: Set<number>,
): AsyncGenerator<Extent> {
  for (let i = 0; i < node.entries; i += 1) {
    const at = HEADER_BYTES + i * ENTRY_BYTES
    const from = node.raw.readUInt32LE(at)
    const to = i + 1 < node.entries ? node.raw.readUInt32LE(at + ENTRY_BYTES) : node.span.to
    if (from < node.span.from || to <= from || to > node.span.to)
      throw bad(inode, `an extent index covers file blocks ${from} to ${to}`, node.offset + at)
    if (to <= wanted.from || from >= wanted.to) continue
    const block = node.raw.readUInt32LE(at + 4) + node.raw.readUInt16LE(at + 8) * 2 ** 32
    if (seen.has(block)) throw bad(inode, `block ${block} occurs twice in its extent tree`, node.offset + at)
    seen.add(block)
    const raw = await readBlock(volume, block, `an extent block of inode ${inode.ino}`, node.offset + at)
    const offset = block * volume.superblock.blockBytes
    const child = checkNode(inode, { raw, offset, span: { from, to } }, node.depth - 1)
    if (volume.superblock.features.has('metadata_csum')) checkTail(inode, child)
    if (child.depth === 0) yield* leafExtents(volume, inode, child, wanted)
    else yield* nodeExtents(volume, inode, child, wanted, seen)
  }
}

function* leafExtents(volume: OpenVolume, inode: Inode, node: Node, wanted: BlockSpan): Generator<Extent> {
  let end = node.span.from
  for (let i = 0; i < node.entries; i += 1) {
    const at = HEADER_BYTES + i * ENTRY_BYTES
    const fileBlock = node.raw.readUInt32LE(at)
    const length = node.raw.readUInt16LE(at + 4)
    const unwritten = length > WRITTEN_MAX
    const count = unwritten ? length - WRITTEN_MAX : length
    if (count === 0 || fileBlock < end || fileBlock + count > node.span.to)
      throw bad(inode, `an extent covers file blocks ${fileBlock} to ${fileBlock + count}`, node.offset + at)
    end = fileBlock + count
    const diskBlock = node.raw.readUInt32LE(at + 8) + node.raw.readUInt16LE(at + 6) * 2 ** 32
    checkBlocks(volume.superblock, diskBlock, count, `an extent of inode ${inode.ino}`, node.offset + at)
    if (end > wanted.from && fileBlock < wanted.to) yield { fileBlock, diskBlock, count, unwritten }
  }
}

/** @param depth what the parent promises; undefined for the root */
function checkNode(inode: Inode, node: Pick<Node, 'raw' | 'offset' | 'span'>, depth?: number): Node {
  const { raw, offset } = node
  const magic = raw.readUInt16LE(0)
  if (magic !== 0xf30a) throw bad(inode, `extent magic number 0x${magic.toString(16)}`, offset)
  const entries = raw.readUInt16LE(2)
  const most = raw.readUInt16LE(4)
  const room = Math.floor((raw.length - HEADER_BYTES) / ENTRY_BYTES)
  if (entries > most || most > room || (entries === 0 && depth !== undefined))
    throw bad(inode, `${entries} of ${most} extents where ${room} fit`, offset + 2)
  const own = raw.readUInt16LE(6)
  if (own > MAX_DEPTH || (depth !== undefined && own !== depth))
    throw bad(
      inode,
      `extent tree depth ${own}${depth === undefined ? '' : ` instead of ${depth}`}`,
      offset + 6,
    )
  return { ...node, depth: own, entries }
}

/** The checksum stands behind the last entry there is room for. */
function checkTail(inode: Inode, node: Node): void {
  const at = HEADER_BYTES + node.raw.readUInt16LE(4) * ENTRY_BYTES
  if (at + 4 > node.raw.length)
    throw bad(inode, 'an extent block has no room for its checksum', node.offset + 4)
  if (crc32c(inode.checksumSeed, node.raw.subarray(0, at)) !== node.raw.readUInt32LE(at))
    throw bad(inode, 'the checksum of an extent block is wrong', node.offset + at)
}

function bad(inode: Inode, what: string, at: number) {
  return damaged(`inode ${inode.ino}: ${what}`, at)
}
