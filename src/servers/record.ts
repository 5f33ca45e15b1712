/**
 * What piimage put on the server, kept in the state folder: so that it is known
 * again by its digest, and `remove` takes away that and nothing else.
 *
 * The record is written before the files. A run that is killed therefore leaves
 * files that the next one knows as its own.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { isMissing } from '../errno.ts'
import { NetrootError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'

export interface ServersRecord {
  version: 1
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

export const EMPTY_RECORD: ServersRecord = { version: 1, files: [], folders: [], services: [], pending: [] }

export const recordPath = (prefix: string, stateFolder: string): string =>
  join(prefix, stateFolder, 'servers.json')

export const digestOf = (content: string | Uint8Array): string => sha256(content)

/** @throws {NetrootError} it is there and not readable as a record */
export async function readRecord(path: string): Promise<ServersRecord> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return EMPTY_RECORD
    throw error
  }
  const record = parseRecord(text)
  if (record !== undefined) return record
  throw new NetrootError(`${path} is not the record that piimage keeps of a server's files`, {
    hint: 'Restore it, or delete it; then the files must be removed by hand: they begin with "Made by piimage netroot".',
  })
}

function parseRecord(text: string): ServersRecord | undefined {
  try {
    const { version, files, folders, services, pending } = JSON.parse(text) as ServersRecord
    const isWhole =
      version === 1 &&
      files.every(({ path, digests }) => typeof path === 'string' && Array.isArray(digests)) &&
      folders.every((folder) => typeof folder === 'string') &&
      services.every(({ unit }) => typeof unit === 'string') &&
      pending.every((path) => typeof path === 'string')
    return isWhole ? { version, files, folders, services, pending } : undefined
  } catch {
    return undefined
  }
}

export async function writeRecord(path: string, record: ServersRecord): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFileAtomically(path, `${JSON.stringify(record, undefined, 1)}\n`, 0o600)
}
