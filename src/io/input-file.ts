/**
 * Files that piimage is pointed at, or finds where it looks: a cluster file, a
 * lock, an overlay, a key. Whoever made the folder may have put something else
 * in the place of one: a pipe that nobody writes into, a device, a file of the
 * kernel's that has no end. Only a plain file is opened, nothing is waited for,
 * and nothing is read past a limit.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { UsageError } from '../errors.ts'
import { formatBytes, KiB, MiB } from '../units.ts'

/** Of a text that a person writes, or that piimage keeps; a cluster of 60,000 nodes has 3 MB. */
export const LONGEST_TEXT = 8 * MiB

/** It is there, and is not what may be read. */
export class UnfitFileError extends UsageError {
  readonly code: 'EINVAL' | 'EFBIG'

  constructor(code: UnfitFileError['code'], message: string, hint: string) {
    super(message, { hint })
    this.code = code
  }
}

/** A pipe without a writer is open at once, and is found out by what was opened. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * @returns what is in it, and what it is
 * @throws errno of open(2) and read(2)
 * @throws {UnfitFileError} no plain file, or one of more than `longest` bytes, whatever its size says
 */
export function readInput(path: string, longest = LONGEST_TEXT): { bytes: Buffer; info: Stats } {
  // Opening alone makes some devices do something.
  requirePlainFile(path)
  const fd = openSync(path, FLAGS)
  try {
    const info = fstatSync(fd)
    requirePlain(info, path)
    requireShort(info.size, path, longest)
    const chunks: Buffer[] = []
    for (let done = 0; ; ) {
      // Past its size too: files of the kernel's say 0.
      const chunk = Buffer.allocUnsafe(done < info.size ? info.size - done : 64 * KiB)
      const count = readSync(fd, chunk, 0, chunk.length, done)
      if (count === 0) return { bytes: Buffer.concat(chunks), info }
      done += count
      requireShort(done, path, longest)
      chunks.push(chunk.subarray(0, count))
    }
  } finally {
    closeSync(fd)
  }
}

/** The same as UTF-8 text. */
export const readInputText = (path: string, longest?: number): string =>
  readInput(path, longest).bytes.toString('utf8')

/** For what is large, and read in parts. @throws as readInput */
export async function openInput(path: string): Promise<FileHandle> {
  requirePlain(await stat(path), path)
  const handle = await open(path, FLAGS)
  try {
    requirePlain(await handle.stat(), path)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** For what another program or thread opens. @throws as readInput */
export const requirePlainFile = (path: string): void => requirePlain(statSync(path), path)

function requirePlain(info: Stats, path: string): void {
  if (info.isFile()) return
  if (info.isDirectory())
    throw Object.assign(new Error(`EISDIR: ${path} is a folder`), { code: 'EISDIR', path })
  throw new UnfitFileError(
    'EINVAL',
    `${path} is ${info.isFIFO() ? 'a pipe' : info.isSocket() ? 'a socket' : 'a device'}, not a plain file`,
    'Somebody else may have put it there. Name a plain file; what a program prints must be in one first.',
  )
}

function requireShort(size: number, path: string, longest: number): void {
  if (size <= longest) return
  throw new UnfitFileError(
    'EFBIG',
    `${path} has more than ${formatBytes(longest)}, the most that is read of such a file`,
    'It is probably another file than you think.',
  )
}
