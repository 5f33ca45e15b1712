/** What every reading function of this folder works on. */
import type { BlockReader } from '../blocks.ts'
import { damaged } from './damage.ts'
import type { Groups } from './group.ts'
import type { PageCache } from './page-cache.ts'
import type { Superblock } from './superblock.ts'

export interface OpenVolume {
  /** The bytes of the volume, for file contents. */
  readonly content: BlockReader
  /** The same for metadata, which contents must not push out of the cache. */
  readonly cache: PageCache
  readonly superblock: Superblock
  readonly groups: Groups
}

/**
 * One block of metadata.
 *
 * @param what for the error: what the block should hold
 * @param at byte of the volume where the block number stands, for the error
 * @throws {FormatError} there is no such block
 */
export async function readBlock(
  volume: OpenVolume,
  block: number,
  what: string,
  at: number,
): Promise<Buffer> {
  checkBlocks(volume.superblock, block, 1, what, at)
  const { blockBytes } = volume.superblock
  return volume.cache.read(block * blockBytes, blockBytes)
}

/** @throws {FormatError} the run of blocks does not lie inside the file system */
export function checkBlocks(
  superblock: Superblock,
  block: number,
  count: number,
  what: string,
  at: number,
): void {
  if (block <= superblock.firstDataBlock || block + count > superblock.blockCount) {
    const blocks = count === 1 ? `block ${block}` : `blocks ${block} to ${block + count - 1}`
    throw damaged(`${what} lies in ${blocks} of ${superblock.blockCount}`, at)
  }
}
