/** What the system says when a tree can't be written or read, as a sentence with a next step. */
import { DriveError, NetrootError } from '../errors.ts'

const causes: Readonly<Record<string, { problem: string; hint: string }>> = {
  EACCES: { problem: 'may not be touched', hint: 'The trees belong to root: run it with sudo' },
  EPERM: { problem: 'may not be touched', hint: 'The trees belong to root: run it with sudo' },
  EROFS: { problem: 'is on a read-only file system', hint: 'Name another folder: --state DIR' },
  ENOSPC: {
    problem: 'has no room',
    hint: 'piimage netroot prune removes old trees; or name another folder: --state DIR',
  },
  EDQUOT: {
    problem: 'has no room',
    hint: 'piimage netroot prune removes old trees; or name another folder: --state DIR',
  },
  EIO: { problem: "can't be read or written", hint: 'The drive fails: see dmesg' },
  EMLINK: { problem: 'has too many links', hint: 'Name a folder on another file system: --state DIR' },
}

/** Run what works on trees. @throws {NetrootError} the system refused; anything else as it is */
export async function onTrees<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DriveError) throw new NetrootError(error.message, { hint: error.hint, cause: error })
    const { code, path = 'the state folder' } = error as NodeJS.ErrnoException
    const cause = causes[code ?? '']
    if (cause === undefined) throw error
    throw new NetrootError(`${path} ${cause.problem} (${code})`, { hint: cause.hint, cause: error })
  }
}
