/** What the system says when a tree can't be written or read, as a sentence with a next step. */

import { type Refusal, refusalOf } from '../errno.ts'
import { DriveError, NetrootError } from '../errors.ts'

const causes: Partial<Record<Refusal, { problem: string; hint: string }>> = {
  denied: { problem: 'may not be touched', hint: 'The trees belong to root: run it with sudo' },
  'read-only': { problem: 'is on a read-only file system', hint: 'Name another folder: --state DIR' },
  full: {
    problem: 'has no room',
    hint: 'piimage netroot prune removes old trees; or name another folder: --state DIR',
  },
  failing: { problem: "can't be read or written", hint: 'The drive fails: see dmesg' },
  'too-many-links': {
    problem: 'has too many links',
    hint: 'Name a folder on another file system: --state DIR',
  },
}

/** Run what works on trees. @throws {NetrootError} the system refused; anything else as it is */
export async function onTrees<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DriveError) throw new NetrootError(error.message, { hint: error.hint, cause: error })
    const { code, path = 'the state folder' } = error as NodeJS.ErrnoException
    const refusal = refusalOf(error)
    const cause = refusal && causes[refusal]
    if (cause === undefined) throw error
    throw new NetrootError(`${path} ${cause.problem} (${code})`, { hint: cause.hint, cause: error })
  }
}
