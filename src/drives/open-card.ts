/** A drive or an image file, for reading. */
import { realpathSync, statSync } from 'node:fs'
import { DriveError, UsageError } from '../errors.ts'
import { type FileReader, openFileReader } from '../io/file-reader.ts'
import { SUDO_HINT } from '../sudo.ts'
import { alignDown, alignUp, KiB, MiB } from '../units.ts'
import { listDrives } from './list.ts'

/**
 * @throws {UsageError} there is nothing at `path`, or it is a folder
 * @throws {DriveError} a drive that this system doesn't list, or that may not be read
 */
export async function openCard(path: string, shownAs: string): Promise<FileReader> {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined || stats.isDirectory()) {
    throw new UsageError(`${shownAs} is ${stats === undefined ? 'not there' : 'a folder'}`, {
      hint: 'Name a drive (piimage drives lists them) or a raw image file',
    })
  }
  try {
    if (stats.isFile()) return await openFileReader(path)
    const real = realpathSync.native(path).replace(/^\/dev\/rdisk/, '/dev/disk')
    const size = await sizeOfDrive(real, shownAs)
    // A Mac's raw disk is read past its cache, which may still hold what was there before.
    if (process.platform === 'darwin')
      return alignReads(await openFileReader(real.replace(/^\/dev\/disk/, '/dev/rdisk'), size))
    return await openFileReader(path, size)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code !== 'EACCES' && code !== 'EPERM') throw cause
    throw new DriveError(`${shownAs} may not be read by this user`, {
      hint:
        process.platform === 'darwin'
          ? 'Run the command with sudo; if you did, allow your terminal "Removable Volumes" or "Full Disk Access" in System Settings, Privacy & Security.'
          : SUDO_HINT,
      cause,
    })
  }
}

async function sizeOfDrive(real: string, shownAs: string): Promise<number> {
  const drive = (await listDrives()).find((candidate) => candidate.path === real)
  if (drive !== undefined) return drive.size
  throw new DriveError(`${shownAs} is not a whole drive, or has no card in it`, {
    hint: 'piimage drives --all lists the drives of this machine.',
  })
}

/** A raw disk takes whole sectors only: a multiple of every sector there is, or the rest of the drive. */
const ALIGN_BYTES = 4 * KiB
const MOST_BYTES = 4 * MiB

/** Any range of a reader that only takes whole blocks. */
function alignReads(raw: FileReader): FileReader {
  const readInto = async (into: Uint8Array, offset: number): Promise<void> => {
    for (let done = 0; done < into.length; ) {
      const from = alignDown(offset + done, ALIGN_BYTES)
      const end = Math.min(raw.length, alignUp(offset + into.length, ALIGN_BYTES), from + MOST_BYTES)
      const blocks = await raw.read(from, end - from)
      const part = blocks.subarray(offset + done - from, offset + into.length - from)
      into.set(part, done)
      done += part.length
    }
  }
  return {
    ...raw,
    readInto,
    async read(offset, length) {
      const bytes = Buffer.allocUnsafe(length)
      await readInto(bytes, offset)
      return bytes
    },
  }
}
