/**
 * A new file in which runs of zeroes take no space.
 *
 * Skipping zeroes is right only because the file is new and empty: what isn't
 * written reads as zero. On a card it would be wrong, so devices are refused.
 */
import { type FileHandle, open, rm } from 'node:fs/promises'
import { UsageError } from '../errors.ts'
import { KiB } from '../units.ts'

/** The grain of holes: smaller ones save little and fragment the file. */
const HOLE_BYTES = 64 * KiB
const zeroes = Buffer.alloc(HOLE_BYTES)

export interface SparseFile {
  /** Bytes at `offset`; every byte of the file is given once at most. */
  write(bytes: Buffer, offset: number): Promise<void>
  /** Give the file its length, and flush it. */
  finish(length: number): Promise<void>
  close(): Promise<void>
  /** Close it and leave nothing behind. */
  discard(): Promise<void>
}

/**
 * @param length its length from the start, where it is known: what is not written yet reads as zeroes
 * @throws {UsageError} `path` is a device, a pipe, a folder
 */
export async function createSparseFile(path: string, length = 0): Promise<SparseFile> {
  const handle = await openEmpty(path, length)
  return {
    async write(bytes, offset) {
      for (const run of dataRuns(bytes)) await writeFully(handle, bytes, run, offset)
    },
    async finish(length) {
      await handle.truncate(length)
      await handle.sync()
    },
    close: () => handle.close(),
    async discard() {
      // It may be closed already, or fail to (a disk that went away): the file must go all the same.
      await handle.close().catch(() => {})
      await rm(path, { force: true })
    },
  }
}

async function openEmpty(path: string, length: number): Promise<FileHandle> {
  // Not truncated by open(2): first see what it is.
  const handle = await open(path, 'a').then((made) => made.close().then(() => open(path, 'r+')))
  try {
    if (!(await handle.stat()).isFile()) {
      throw new UsageError(`${path} is not a regular file`, { hint: 'Unpack into a new file.' })
    }
    await handle.truncate(0)
    await handle.truncate(length)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

interface Run {
  start: number
  end: number
}

/** The parts of `bytes`, in steps of HOLE_BYTES, that hold anything but zeroes; neighbours joined. */
function dataRuns(bytes: Buffer): Run[] {
  const runs: Run[] = []
  for (let start = 0; start < bytes.length; start += HOLE_BYTES) {
    const end = Math.min(start + HOLE_BYTES, bytes.length)
    if (bytes.compare(zeroes, 0, end - start, start, end) === 0) continue
    const last = runs.at(-1)
    if (last !== undefined && last.end === start) last.end = end
    else runs.push({ start, end })
  }
  return runs
}

async function writeFully(handle: FileHandle, bytes: Buffer, run: Run, offset: number): Promise<void> {
  for (let at = run.start; at < run.end; ) {
    const { bytesWritten } = await handle.write(bytes, at, run.end - at, offset + at)
    at += bytesWritten
  }
}
