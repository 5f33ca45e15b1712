/** The state folder as such: who may change it now, and the record of what was laid out last. */
import { dirname } from 'node:path'
import { NetrootError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { type EntryLock, lockEntry } from '../io/entry-lock.ts'
import { formatState, readState } from '../io/state-file.ts'
import { lockFile, servedFile } from './paths.ts'
import type { ServedCluster } from './served.ts'
import { at, CLOSED, makeFolder, OPEN, type ServerRoot } from './server-root.ts'
import { servedFormat } from './state-formats.ts'

/**
 * Hold the state folder while something in it changes.
 * @param onWait called once when another process has it
 */
export async function lockState(
  state: string,
  place: ServerRoot,
  signal: AbortSignal,
  onWait: (pid: number) => void,
): Promise<EntryLock> {
  makeStateFolder(state, place)
  return lockEntry(at(place, lockFile(state)), signal, onWait)
}

/** What is above piimage's own folders is an ordinary folder of the server. */
export function makeStateFolder(state: string, place: ServerRoot): void {
  makeFolder(at(place, dirname(dirname(state))), OPEN)
  makeFolder(at(place, state), CLOSED)
}

/**
 * What was laid out last.
 * @throws {NetrootError} nothing was, or its record is damaged
 */
export function readServed(state: string, place: ServerRoot): ServedCluster {
  const served = readState<ServedCluster>(servedFormat, at(place, servedFile(state)))
  if (served !== undefined) return served
  throw new NetrootError(`nothing is laid out in ${at(place, state)}`, {
    hint: 'piimage netroot lays it out',
  })
}

export const writeServed = (served: ServedCluster, place: ServerRoot): Promise<void> =>
  writeFileAtomically(at(place, servedFile(served.stateFolder)), formatState(servedFormat, served), 0o600)
