/**
 * What piimage put on the server, kept in the state folder: so that it is known
 * again by its digest, and `remove` takes away that and nothing else.
 *
 * The record is written before the files. A run that is killed therefore leaves
 * files that the next one knows as its own.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { hasFields, isFlag, isListOf, isText } from '../io/shape.ts'
import { formatState, readState, type StateFormat } from '../io/state-file.ts'

export interface ServersRecord {
  files: RecordedFile[]
  /** Folders that were not there, outermost first. */
  folders: string[]
  /** How services were before piimage first touched them. */
  services: RecordedService[]
  /** Paths that were written or taken, while the services have not been told: a run that only wrote, or was killed. */
  pending: string[]
}

export interface RecordedFile {
  /** Without `--prefix`. */
  path: string
  /** What we may have written there: one digest, or two while a change is under way. */
  digests: string[]
}

export interface RecordedService {
  unit: string
  enabled: boolean
  active: boolean
}

export const EMPTY_RECORD: ServersRecord = { files: [], folders: [], services: [], pending: [] }

export const recordPath = (prefix: string, stateFolder: string): string =>
  join(prefix, stateFolder, 'servers.json')

export const digestOf = (content: string | Uint8Array): string => sha256(content)

/** @throws {NetrootError} it is there and not readable as a record */
export async function readRecord(path: string): Promise<ServersRecord> {
  return readState<ServersRecord>(recordFormat, path) ?? EMPTY_RECORD
}

const recordFormat: StateFormat = {
  what: "the record that piimage keeps of a server's files",
  version: 1,
  check: hasFields({
    files: isListOf(hasFields({ path: isText, digests: isListOf(isText) })),
    folders: isListOf(isText),
    services: isListOf(hasFields({ unit: isText, enabled: isFlag, active: isFlag })),
    pending: isListOf(isText),
  }),
  // This file had a version from the start.
  migrations: [(older) => older],
  hint: 'Restore it, or delete it; then the files must be removed by hand: they begin with "Made by piimage netroot".',
}

export async function writeRecord(path: string, record: ServersRecord): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFileAtomically(path, formatState(recordFormat, record), 0o600)
}
