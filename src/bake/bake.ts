/**
 * A node's image to a file: the same bytes a card would get, with what other
 * tools need beside it: `.sha256`, `.bmap`, and the entry for Raspberry Pi
 * Imager's list. One pass over the image; the final names appear only when
 * everything is written and flushed.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { BlockReader, Range } from '../disk/blocks.ts'
import { DriveError, UsageError } from '../errors.ts'
import { syncFolder, writeFileAtomically } from '../io/atomic-file.ts'
import { tryLockFile } from '../io/file-lock.ts'
import { clearParts, partOf } from '../io/parts.ts'
import type { Task } from '../progress.ts'
import { MiB } from '../units.ts'
import { formatBmap, mappedRanges, RangeDigests } from './bmap.ts'
import { type BakeFormat, openSink } from './compress.ts'

export interface BakeRequest {
  image: BlockReader
  /** What the file systems call used; the rest is left out of the .bmap, not of the image. */
  used: readonly Range[]
  folder: string
  /** File name without suffix: the node's name. */
  name: string
  format: BakeFormat
  level?: number
  /** Permission bits: 0600 for an image that holds a node's secrets. */
  mode: number
}

export interface Baked {
  /** `<name>.img`, `.img.xz` or `.img.zst`. */
  path: string
  format: BakeFormat
  /** Of the file at `path`. */
  size: number
  sha256: string
  /** Of the image inside. */
  extractedSize: number
  extractedSha256: string
  /** Everything written, the image first. */
  files: string[]
}

const CHUNK_BYTES = 4 * MiB

export const bakedFileName = (name: string, format: BakeFormat): string =>
  format === 'img' ? `${name}.img` : `${name}.img.${format}`

/**
 * @throws {UsageError} another piimage makes the same file: each would describe the other's beside its own
 * @throws {DriveError} there is no room
 * @throws the signal's reason when stopped; nothing but complete files is left behind
 */
export async function bakeImage(request: BakeRequest, task: Task): Promise<Baked> {
  const path = join(request.folder, bakedFileName(request.name, request.format))
  const lock = await tryLockFile(path, task.signal).catch((error) => {
    throw cannotMake(path, error)
  })
  if (!('release' in lock))
    throw new UsageError(`${path} is being made by another piimage (process ${lock.heldBy})`, {
      hint: 'Wait for it to end, or bake into another folder with --output DIR.',
    })
  try {
    return await makeFiles(request, path, task)
  } catch (error) {
    throw cannotMake(path, error)
  } finally {
    lock.release()
  }
}

/** What the system says of a file that it does not take; anything else as it is. */
function cannotMake(path: string, error: unknown): unknown {
  const { code = '', syscall, message } = error as Partial<NodeJS.ErrnoException>
  if (syscall === undefined) return error
  if (/^(ENOSPC|EDQUOT|EFBIG)$/.test(code))
    return new DriveError(`there is no room for ${path} (${code}); no image was made`, {
      hint: 'Free some space, or bake into another folder with --output DIR.',
      cause: error,
    })
  return new UsageError(`${path} can't be made: ${message}`, {
    hint: 'Check that its folder may be written to, or name another with --output DIR.',
    cause: error,
  })
}

async function makeFiles(request: BakeRequest, path: string, task: Task): Promise<Baked> {
  const partial = partOf(path)
  const sidecar = `${path}.sha256`
  const bmap = join(request.folder, `${request.name}.bmap`)
  const ranges = mappedRanges(request.used, request.image.length)
  const rangeDigests = new RangeDigests(ranges)
  let extractedSha256: string
  let sha256: string
  try {
    await clearParts(path)
    extractedSha256 = await copyImage(request, partial, rangeDigests, task)
    sha256 = request.format === 'img' ? extractedSha256 : await digestFile(partial)
    // Stopped from here on, an image may lack what describes it; it never lies beside what describes another.
    for (const stale of [sidecar, bmap]) await rm(stale, { force: true })
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
  await writeFileAtomically(sidecar, `${sha256}  ${basename(path)}\n`)
  await writeFileAtomically(bmap, formatBmap(request.image.length, ranges, rangeDigests.digests()))
  return {
    path,
    format: request.format,
    size: (await stat(path)).size,
    sha256,
    extractedSize: request.image.length,
    extractedSha256,
    files: [path, sidecar, bmap],
  }
}

/** @returns sha256 of the image's bytes */
async function copyImage(
  request: BakeRequest,
  path: string,
  digests: RangeDigests,
  task: Task,
): Promise<string> {
  const { image } = request
  const sink = await openSink(path, request.format, request.mode, request.level)
  const hash = createHash('sha256')
  try {
    for (let offset = 0; offset < image.length; offset += CHUNK_BYTES) {
      task.signal.throwIfAborted()
      const bytes = await image.read(offset, Math.min(CHUNK_BYTES, image.length - offset))
      hash.update(bytes)
      digests.update(offset, bytes)
      await sink.write(bytes)
      task.report({
        phase: request.format === 'img' ? 'write' : 'compress',
        subject: bakedFileName(request.name, request.format),
        bytes: offset + bytes.length,
        totalBytes: image.length,
      })
    }
    await sink.finish()
  } catch (error) {
    await sink.abort().catch(() => {})
    throw error
  }
  return hash.digest('hex')
}

async function digestFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: MiB })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
