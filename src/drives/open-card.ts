/** A drive or an image file, for reading. */
import { realpathSync, statSync } from 'node:fs'
import { DriveError, UsageError } from '../errors.ts'
import { type FileReader, openFileReader } from '../io/file-reader.ts'
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
    return await openFileReader(path, stats.isFile() ? undefined : await sizeOfDrive(path, shownAs))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code !== 'EACCES' && code !== 'EPERM') throw cause
    throw new DriveError(`${shownAs} may not be read by this user`, {
      hint: 'Run the command with sudo.',
      cause,
    })
  }
}

async function sizeOfDrive(path: string, shownAs: string): Promise<number> {
  const real = realpathSync.native(path).replace(/^\/dev\/rdisk/, '/dev/disk')
  const drive = (await listDrives()).find((candidate) => candidate.path === real)
  if (drive !== undefined) return drive.size
  throw new DriveError(`${shownAs} is not a whole drive, or has no card in it`, {
    hint: 'piimage drives --all lists the drives of this machine.',
  })
}
