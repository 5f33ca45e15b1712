/**
 * .xz: block by block on several cores, by the fastest decoder that can do this file.
 *
 * The block list says beforehand what the file needs, so the choice is made
 * once: a decoder in our own worker threads, else the `xz` program, else an
 * error that names the missing ability.
 */
import { availableParallelism } from 'node:os'
import { FormatError } from '../errors.ts'
import { MiB } from '../units.ts'
import type { Decoding, PackedFile } from './decoding.ts'
import { decodeWithProgram, hasProgram } from './program.ts'
import { ABILITIES, chooseBackend, type XzBackend } from './xz-backend.ts'
import { followXzBlocks, readFirstBlock } from './xz-follow.ts'
import { readXzBlocks, type XzBlock } from './xz-index.ts'
import { decodeXzBlocks, type PoolSize } from './xz-pool.ts'

/** Checks our workers test, by id: none, CRC-32, CRC-64, SHA-256. */
const KNOWN_CHECKS = [0, 1, 4, 10]

/** What the decoding may take beside the process itself: keeps it under 300 MB resident. */
const MEMORY_BUDGET = 192 * MiB
/** A worker thread without its dictionary, measured: its JavaScript heap, and buffers on their way. */
const WORKER_BYTES = { wasm: 14 * MiB, native: 64 * MiB }
/** A worker runs at most this far ahead, on average: a block of xz -6 is 24 MiB. */
const SLOTS_PER_WORKER = 24
/** More would only wait: sha256 of the image, which is serial, takes as long as four decoders. */
const MAX_WORKERS = 4

/**
 * @param test whether to test the blocks' own checks: wasted where the image's digest is known
 * @throws {FormatError} the file is damaged, or nothing here can decode it
 */
export async function decodeXz(file: PackedFile, test: boolean, signal: AbortSignal): Promise<Decoding> {
  const backend = chooseBackend()
  const data = { path: file.path, fd: file.handle.fd, test }
  const first = file.reach === undefined ? undefined : await readFirstBlock(file)
  if (first !== undefined && findObstacle([first], backend) === undefined) {
    const size = planPool(Array(MAX_WORKERS).fill(first), backend, availableParallelism())
    const blocks = checkEach(file, followXzBlocks(file, signal), backend)
    return {
      totalBytes: null,
      chunks: decodeXzBlocks({ ...data, backend }, blocks, size, signal),
    }
  }
  const blocks = await readXzBlocks(file, signal)
  const totalBytes = blocks.reduce((sum, block) => sum + block.size, 0)
  const obstacle = findObstacle(blocks, backend)
  if (obstacle === undefined) {
    const size = planPool(blocks, backend, availableParallelism())
    return { totalBytes, chunks: decodeXzBlocks({ ...data, backend }, blocks, size, signal) }
  }
  if (hasProgram('xz')) {
    const args = ['--decompress', '--stdout', '--no-warn', '--memlimit-decompress=1GiB']
    return { totalBytes, chunks: decodeWithProgram('xz', args, file, signal) }
  }
  throw new FormatError(`${file.path} is an xz file with ${obstacle}, which needs the xz program`, {
    hint: 'Install it: apt install xz-utils (macOS: brew install xz).',
  })
}

/** Blocks of a file whose end isn't there yet: one that our decoder can't do may still come. */
async function* checkEach(
  file: PackedFile,
  blocks: AsyncIterable<XzBlock>,
  backend: XzBackend,
): AsyncGenerator<XzBlock> {
  for await (const block of blocks) {
    const obstacle = findObstacle([block], backend)
    if (obstacle !== undefined) {
      throw new FormatError(`${file.path} is an xz file with ${obstacle} from byte ${block.offset} on`, {
        hint: 'Run again: once all of it is downloaded, the xz program can do it.',
      })
    }
    yield block
  }
}

/** What keeps our own decoder from this file, for people; undefined: nothing. */
function findObstacle(blocks: readonly XzBlock[], backend: XzBackend): string | undefined {
  const able = ABILITIES[backend]
  for (const block of blocks) {
    const filter = block.filters.find((name) => !able.filters.includes(name))
    if (filter !== undefined) return `the ${filter} filter`
    if (block.dictionaryBytes > able.dictionaryBytes) {
      return `a dictionary of ${Math.round(block.dictionaryBytes / MiB)} MiB`
    }
    if (!KNOWN_CHECKS.includes(block.check)) return `the unknown check ${block.check}`
  }
  return undefined
}

/** How many workers and slots fit into the budget. */
export function planPool(blocks: readonly XzBlock[], backend: XzBackend, cores: number): PoolSize {
  const dictionaryBytes = blocks.reduce((most, block) => Math.max(most, block.dictionaryBytes), 0)
  const perWorker = WORKER_BYTES[backend] + dictionaryBytes + SLOTS_PER_WORKER * MiB
  const affordable = Math.max(1, Math.floor(MEMORY_BUDGET / perWorker))
  const workers = Math.min(MAX_WORKERS, affordable, Math.max(2, cores), Math.max(1, blocks.length))
  return { workers, slots: workers === 1 ? 8 : workers * SLOTS_PER_WORKER }
}
