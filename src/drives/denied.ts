/** Whether this user may write to a drive, asked before anything is downloaded or unpacked for it. */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { DriveError } from '../errors.ts'
import { SUDO_HINT } from '../sudo.ts'

export const deniedDrive = (path: string, cause: unknown): DriveError =>
  new DriveError(`${path} may not be opened for writing by this user`, {
    hint: [SUDO_HINT, 'Or join the group that owns the drive (ls -l shows it).'],
    cause,
  })

/** @throws {DriveError} the drive's permissions say no; what else keeps it from being opened shows later */
export async function requireWriteAccess(path: string): Promise<void> {
  await access(path, constants.W_OK).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES') throw deniedDrive(path, error)
  })
}
