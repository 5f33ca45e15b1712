/**
 * Decodes the blocks of one .xz file on several cores, in order.
 *
 * Each worker decodes one block at a time into 1 MiB slots of shared memory.
 * All slots belong to this module; it grants them to workers and gets them back
 * when the reader has used their bytes. So memory is bounded by the number of
 * slots, whatever the size of a block: the worker whose block is read next
 * always gets a slot, and the others run ahead while slots last, then wait.
 *
 *     granted ─► worker fills ─► block's queue ─► yielded in order ─► free ─► granted …
 */

import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { saysOutOfMemory } from '../errno.ts'
import { brokenFile, CHUNK_BYTES } from './decoding.ts'
import type { XzBackend } from './xz-backend.ts'
import type { XzBlock } from './xz-index.ts'

export interface XzWorkerData {
  /** For messages. */
  path: string
  /** The opened file: workers read it at offsets of their own. */
  fd: number
  backend: XzBackend
  /** Whether to test the blocks' checks; false where a digest of the whole decides anyway. */
  test: boolean
}

export type ToWorker = { block: XzBlock } | { slot: SharedArrayBuffer }

export type FromWorker =
  | { kind: 'filled'; slot: SharedArrayBuffer; length: number }
  | { kind: 'done' }
  | { kind: 'failed'; reason: string }

export interface PoolSize {
  workers: number
  /** Slots of CHUNK_BYTES in all. */
  slots: number
}

/** Slots a worker may hold unfilled, so that it needn't wait for the next one. It keeps them from block to block. */
const GRANTED_AHEAD = 2
/** Blocks begun and not yet read, per worker: bounds the bookkeeping where blocks are tiny. */
const BLOCKS_AHEAD = 2

/** A worker's JavaScript needs next to nothing; left alone, its young generation alone takes tens of megabytes. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 64 }

interface Lane {
  worker: Worker
  /** Slots the worker holds and has not filled. */
  granted: number
  idle: boolean
}

/** A block on its way. */
interface Job {
  block: XzBlock
  lane: Lane
  filled: { slot: SharedArrayBuffer; length: number }[]
  done: boolean
}

/**
 * @throws {FormatError} a block is damaged; says its offset
 */
export async function* decodeXzBlocks(
  data: XzWorkerData,
  blocks: Iterable<XzBlock> | AsyncIterable<XzBlock>,
  size: PoolSize,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const free: SharedArrayBuffer[] = []
  let slotsMade = 0
  const jobs: Job[] = []
  /** Found and not begun. */
  const found: XzBlock[] = []
  let foundAll = false
  let failure: unknown
  let wake = (): void => {}

  const fail = (error: unknown): void => {
    failure ??= error
    wake()
  }
  const woken = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
    })
  const find = async (): Promise<void> => {
    try {
      for await (const block of blocks) {
        found.push(block)
        dispatch()
        wake()
      }
      foundAll = true
      wake()
    } catch (error) {
      fail(error)
    }
  }
  const onAbort = (): void => fail(signal.reason)

  const takeSlot = (): SharedArrayBuffer => {
    const slot = free.pop()
    if (slot !== undefined) return slot
    slotsMade += 1
    return new SharedArrayBuffer(CHUNK_BYTES)
  }
  const freeSlots = (): number => free.length + size.slots - slotsMade

  /** Hand blocks to idle workers and slots to busy ones, first things first. */
  const dispatch = (): void => {
    for (const lane of lanes) {
      const block = found[0]
      if (!lane.idle || block === undefined || jobs.length >= lanes.length * BLOCKS_AHEAD) continue
      found.shift()
      lane.idle = false
      jobs.push({ block, lane, filled: [], done: false })
      lane.worker.postMessage({ block } satisfies ToWorker)
    }
    // What all workers may hold unfilled stays out of reach of those that run
    // ahead; so the worker that is read next finds a slot even then.
    const reserve = GRANTED_AHEAD * lanes.length
    for (const job of jobs) {
      if (job.done) continue
      while (job.lane.granted < GRANTED_AHEAD && freeSlots() > (job === jobs[0] ? 0 : reserve)) {
        job.lane.granted += 1
        job.lane.worker.postMessage({ slot: takeSlot() } satisfies ToWorker)
      }
    }
  }

  const onMessage = (lane: Lane, message: FromWorker): void => {
    const job = jobs.find((candidate) => candidate.lane === lane && !candidate.done)
    if (job === undefined) throw new Error('an xz worker spoke without having a block')
    if (message.kind === 'filled') {
      lane.granted -= 1
      job.filled.push(message)
    } else if (message.kind === 'failed') {
      const { reason } = message
      fail(
        saysOutOfMemory(reason)
          ? new RangeError(reason)
          : brokenFile(data, 'xz', job.block.offset, `the block there cannot be decoded (${reason})`),
      )
    } else {
      job.done = true
      lane.idle = true
    }
    dispatch()
    wake()
  }

  const workerUrl = new URL(`./xz-worker${extname(import.meta.url)}`, import.meta.url)
  const lanes = Array.from({ length: size.workers }, (): Lane => {
    const worker = new Worker(workerUrl, { workerData: data, resourceLimits: WORKER_LIMITS })
    const lane: Lane = { worker, granted: 0, idle: true }
    worker.on('message', (message: FromWorker) => onMessage(lane, message))
    worker.on('error', fail)
    worker.on('exit', () => fail(new Error('an xz worker thread ended by itself')))
    return lane
  })

  try {
    signal.addEventListener('abort', onAbort, { once: true })
    signal.throwIfAborted()
    void find()
    for (;;) {
      if (failure !== undefined) throw failure
      const job = jobs[0]
      if (job === undefined && foundAll) break
      if (job === undefined) {
        await woken()
        continue
      }
      while (!job.done || job.filled.length > 0) {
        if (failure !== undefined) throw failure
        const next = job.filled.shift()
        if (next === undefined) {
          await woken()
          continue
        }
        yield new Uint8Array(next.slot, 0, next.length)
        free.push(next.slot)
        dispatch()
      }
      jobs.shift()
      dispatch()
    }
    if (failure !== undefined) throw failure
  } finally {
    signal.removeEventListener('abort', onAbort)
    for (const { worker } of lanes) worker.removeAllListeners()
    await Promise.all(lanes.map(({ worker }) => worker.terminate()))
  }
}
