/**
 * `cluster.key`: the one secret of a cluster, from which every other is derived.
 *
 * 32 random bytes as 64 hex digits, below comment lines that say what it is.
 * Whoever has it has every node: it is readable by its owner only, and git
 * ignores it. Lost, it can't be recovered; a new one gives every node new keys.
 */
import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import { isMissing } from '../errno.ts'
import { PiimageError, UsageError } from '../errors.ts'
import { createFileAtomically } from '../io/atomic-file.ts'
import { readInput } from '../io/input-file.ts'
import { KiB } from '../units.ts'

export const clusterKeyBytes = 32

/** Beside the cluster file. */
export const CLUSTER_KEY_FILE = 'cluster.key'

/** The key itself; prints as nothing anybody can use. */
export class ClusterKey {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    if (bytes.length !== clusterKeyBytes) throw new Error(`a cluster key has ${clusterKeyBytes} bytes`)
    this.#bytes = Uint8Array.from(bytes)
  }

  /** For what derives from it, writes it down, or keeps it from being written down. */
  reveal(): Uint8Array {
    return this.#bytes
  }

  toString(): string {
    return '<cluster key>'
  }

  toJSON(): string {
    return '<cluster key>'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '<cluster key>'
  }
}

/** Whether a file is a cluster's key, of whichever cluster, by its name or by what piimage writes into it. */
export const isClusterKeyFile = (path: string, text: string): boolean =>
  basename(path) === CLUSTER_KEY_FILE || text.includes(HEADING)

/** Nothing but 64 hex digits, of any cluster, where modes say that nobody else may read it. */
export const looksLikeClusterKey = (text: string, mode: number): boolean =>
  process.platform !== 'win32' && mode % 0o100 === 0 && /^(?:#[^\n]*\n)*[0-9a-fA-F]{64}\s*$/.test(text)

const HEADING = '# piimage cluster key.'

export function formatClusterKey(key: ClusterKey): string {
  return [
    `${HEADING} Every key, token and id of this cluster is derived from it.`,
    '# Keep it out of git and keep a copy: whoever has it has every node.',
    Buffer.from(key.reveal()).toString('hex'),
    '',
  ].join('\n')
}

/**
 * Read the text of a key file: 64 hex digits or 44 characters of base64, `#` lines ignored.
 * @param path for messages
 * @throws {UsageError} anything else; the message never holds what was read
 */
export function parseClusterKey(text: string, path: string): ClusterKey {
  const lines = text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  const [line = ''] = lines
  const hint =
    'A cluster key is 64 hex digits. Restore your copy, or make a new one with piimage init (every node then needs a new card).'
  if (lines.length !== 1)
    throw new UsageError(`${path} holds ${lines.length} lines of key; it should hold one`, { hint })
  if (/^[0-9a-fA-F]{64}$/.test(line)) return new ClusterKey(Buffer.from(line, 'hex'))
  if (/^[A-Za-z0-9+/]{43}=$/.test(line)) return new ClusterKey(Buffer.from(line, 'base64'))
  throw new UsageError(
    `${path} holds no key of ${clusterKeyBytes} bytes: ${line.length} characters were found`,
    { hint },
  )
}

/**
 * Make a new key, readable by its owner only.
 * @throws {UsageError} the file exists: it is never overwritten
 */
export async function createClusterKey(path: string): Promise<ClusterKey> {
  const key = new ClusterKey(randomBytes(clusterKeyBytes))
  try {
    await createFileAtomically(path, formatClusterKey(key), 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new UsageError(`${path} exists already and is not overwritten`, {
        hint: 'Move it away if you really want new keys for every node.',
        cause: error,
      })
    throw unusable(path, 'made', error)
  }
  return key
}

/**
 * Read the key, if nobody else can.
 * @throws {UsageError} missing, readable by group or others, or not a key
 */
export async function readClusterKey(path: string): Promise<ClusterKey> {
  const { bytes, mode } = openKeyFile(path)
  // Windows has no such bits and reports 0666.
  if (process.platform !== 'win32' && mode % 0o100 !== 0)
    throw new UsageError(
      `${path} can be read by others (mode ${(mode % 0o1000).toString(8).padStart(4, '0')})`,
      { hint: `Run: chmod 600 ${path}` },
    )
  return parseClusterKey(bytes.toString('utf8'), path)
}

/** Of a key file with comments of its owner's. */
const LONGEST_KEY_FILE = 64 * KiB

function openKeyFile(path: string): { bytes: Buffer; mode: number } {
  try {
    const { bytes, info } = readInput(path, LONGEST_KEY_FILE)
    return { bytes, mode: info.mode }
  } catch (error) {
    if (error instanceof PiimageError) throw error
    if (isMissing(error))
      throw new UsageError(`there is no cluster key at ${path}`, {
        hint: 'Make one with piimage init, or restore your copy: nodes made with another key would get new identities.',
        cause: error,
      })
    throw unusable(path, 'read', error)
  }
}

function unusable(path: string, verb: string, error: unknown): UsageError {
  return new UsageError(`${path} can't be ${verb}: ${(error as Error).message}`, {
    hint: 'Check the folder and its permissions.',
    cause: error,
  })
}
