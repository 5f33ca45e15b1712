/**
 * Worker thread: decodes .xz blocks of one file into memory it shares with the
 * main thread, slot by slot (xz-pool.ts hands the slots out and takes them back).
 */
import { createHash, type Hash } from 'node:crypto'
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { brokenInstall } from '../broken-install.ts'
import { decodeWholeXz } from './xz-backend.ts'
import type { XzBlock } from './xz-index.ts'
import { wrapOneBlock } from './xz-one-block.ts'
import type { FromWorker, ToWorker, XzWorkerData } from './xz-pool.ts'

/** Small, because what one piece of zeroes unpacks to is held at once by the native decoder. */
const READ_BYTES = 16 * 1024
const CHECK_CRC32 = 1
const CHECK_SHA256 = 10

if (parentPort === null) throw new Error('xz-worker runs as a worker thread')
const port = parentPort
const { fd: source, backend, test } = workerData as XzWorkerData

const freeSlots: SharedArrayBuffer[] = []
let wakeForSlot: (() => void) | undefined

port.on('message', (message: ToWorker) => {
  if ('slot' in message) {
    freeSlots.push(message.slot)
    wakeForSlot?.()
    return
  }
  decodeBlock(message.block).then(
    () => post({ kind: 'done' }),
    (error: unknown) => {
      // No damage of the file: it ends the worker, and is told as it is.
      if (brokenInstall(error) !== undefined) throw error
      post({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
    },
  )
})

const post = (message: FromWorker): void => port.postMessage(message)

async function nextSlot(): Promise<SharedArrayBuffer> {
  for (;;) {
    const slot = freeSlots.shift()
    if (slot !== undefined) return slot
    await new Promise<void>((resolve) => {
      wakeForSlot = resolve
    })
  }
}

/**
 * Blocks that unpack to nothing but zeroes, as they stand in the file. Most of
 * an image is free space, which packs into the same few bytes again and again:
 * what was unpacked once need not be unpacked a second time.
 */
const zeroBlocks = new Set<string>()
const MOST_ZERO_BLOCKS = 8
/** 24 MiB of zeroes pack into 4 KiB. */
const MOST_ZERO_BLOCK_BYTES = 64 * 1024
const zeroes = Buffer.alloc(64 * 1024)

/** A block that may be one of those: its bytes, its check included. */
function readSmallBlock({ offset, unpaddedSize }: XzBlock): string | undefined {
  if (unpaddedSize > MOST_ZERO_BLOCK_BYTES) return undefined
  const bytes = Buffer.alloc(unpaddedSize)
  const count = readSync(source, bytes, 0, unpaddedSize, offset)
  return count === unpaddedSize ? bytes.toString('latin1') : undefined
}

function isZero(chunk: Uint8Array): boolean {
  for (let at = 0; at < chunk.length; at += zeroes.length) {
    const part = chunk.subarray(at, at + zeroes.length)
    if (zeroes.compare(part, 0, part.length, 0, part.length) !== 0) return false
  }
  return true
}

async function fillWithZeroes(size: number): Promise<void> {
  for (let left = size; left > 0; ) {
    const slot = await nextSlot()
    const length = Math.min(left, slot.byteLength)
    new Uint8Array(slot, 0, length).fill(0)
    post({ kind: 'filled', slot, length })
    left -= length
  }
}

async function decodeBlock(block: XzBlock): Promise<void> {
  const small = readSmallBlock(block)
  if (small !== undefined && zeroBlocks.has(small)) return fillWithZeroes(block.size)
  let mayBeZero = small !== undefined && zeroBlocks.size < MOST_ZERO_BLOCKS
  const ownCheck = test ? openOwnCheck(block) : undefined
  const { before, blockBytes, after } = wrapOneBlock(block, test && ownCheck === undefined)
  let slot: SharedArrayBuffer | undefined
  let view: Uint8Array = new Uint8Array(0)
  let filled = 0
  let size = 0
  for await (const chunk of decodeWholeXz(backend, pieces(before, block.offset, blockBytes, after))) {
    ownCheck?.update(chunk)
    mayBeZero &&= isZero(chunk)
    size += chunk.length
    if (size > block.size) throw new Error(`it unpacks to more than the ${block.size} bytes its index gives`)
    for (let taken = 0; taken < chunk.length; ) {
      if (slot === undefined) {
        slot = await nextSlot()
        view = new Uint8Array(slot)
        filled = 0
      }
      const part = chunk.subarray(taken, taken + view.length - filled)
      view.set(part, filled)
      filled += part.length
      taken += part.length
      if (filled === view.length) {
        post({ kind: 'filled', slot, length: filled })
        slot = undefined
      }
    }
  }
  if (size !== block.size) throw new Error(`it unpacks to ${size} bytes, its index gives ${block.size}`)
  if (ownCheck !== undefined) compareCheck(ownCheck, block)
  if (mayBeZero && small !== undefined) zeroBlocks.add(small)
  if (slot !== undefined) post({ kind: 'filled', slot, length: filled })
}

/** The pieces of a one-block .xz file. The middle ones share one buffer: each is good until the next is asked for. */
function* pieces(before: Buffer, offset: number, length: number, after: Buffer): Generator<Uint8Array> {
  yield before
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length))
  for (let done = 0; done < length; ) {
    const wanted = Math.min(buffer.length, length - done)
    const count = readSync(source, buffer, 0, wanted, offset + done)
    if (count === 0) throw new Error('the file became shorter while it was read')
    done += count
    yield buffer.subarray(0, count)
  }
  yield after
}

interface OwnCheck {
  update(bytes: Uint8Array): void
  digest(): Buffer
}

/** Checks that Node computes itself: CRC-32 because it is faster here, SHA-256 because the WASM decoder lacks it. */
function openOwnCheck(block: XzBlock): OwnCheck | undefined {
  if (block.check === CHECK_SHA256) {
    const hash: Hash = createHash('sha256')
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() }
  }
  if (block.check === CHECK_CRC32) {
    let sum = 0
    return {
      update(bytes) {
        sum = crc32(bytes, sum)
      },
      digest() {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32LE(sum)
        return bytes
      },
    }
  }
  return undefined
}

function compareCheck(check: OwnCheck, block: XzBlock): void {
  const expected = Buffer.alloc(block.checkBytes)
  const padded = Math.ceil(block.unpaddedSize / 4) * 4
  readSync(source, expected, 0, block.checkBytes, block.offset + padded - block.checkBytes)
  if (!check.digest().equals(expected)) throw new Error('its check value does not match its bytes')
}
