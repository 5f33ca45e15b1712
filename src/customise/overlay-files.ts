/**
 * The files that an overlay brings along. An overlay may be a stranger's, so its
 * paths lead to its own folder, after links; elsewhere leads only a parameter
 * of the cluster file. That may be a stranger's, too: outside of its folder it
 * leads to nothing that is kept for the user alone (`~/.ssh`, `/etc/shadow`).
 * Nothing ever leads to the cluster's key: not by its name, by another name of
 * it, or to a copy of what is in it; nor to what looks like another cluster's.
 * No parameter leads to what is derived of the key, which is another node's.
 *
 * A message names the path and never holds what was read.
 */
import { constants } from 'node:fs'
import { open, readdir, realpath, stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import type { Cluster } from '../cluster/node.ts'
import { PiimageError, UsageError } from '../errors.ts'
import { readInputText } from '../io/input-file.ts'
import { isOpenToAll } from '../io/ownership.ts'
import {
  CLUSTER_KEY_FILE,
  type ClusterKey,
  isClusterKeyFile,
  looksLikeClusterKey,
  parseClusterKey,
} from '../secrets/cluster-key.ts'
import { nodeKeys } from '../secrets/node-keys.ts'
import { findAnyOf, type SecretFinder } from '../secrets/occurrences.ts'
import { formatBytes, MiB } from '../units.ts'
import { derivedSeeds } from './derived-seeds.ts'
import type { LinearPattern } from './foreign-schema.ts'

/** Where a path of an overlay may lead. */
export interface Reach {
  /** The overlay's folder. */
  folder: string
  /** Its folder, and what is derived of its key. */
  cluster: Cluster
  /** It is a parameter that the cluster file gives: it is relative to that file, and may lead out of its folder. */
  isGiven: boolean
  /** What was read already; every node that uses the overlay gets the same. */
  kept?: Kept
}

/** By where it lies and how it is read. */
export type Kept = Map<string, Promise<unknown>>

/** Scripts, templates and settings; what is copied unread may be larger. */
const LONGEST_TEXT = 16 * MiB

/** A file without waiting for a pipe's other end. */
const PLAIN = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * @param where for messages: `overlay fan, file readme.txt`
 * @throws {UsageError} the path leads out, to the key, or to nothing that can be read
 */
export function readText(path: string, reach: Reach, where: string): Promise<string> {
  return once(reach, ['text', path], async () => {
    const bytes = await explained(where, path, reach, async () =>
      readPlain(await follow(path, reach, where), keyFinder(reach), where, LONGEST_TEXT),
    )
    return Buffer.from(bytes).toString('utf8')
  })
}

function once<T>(
  { kept, folder, cluster, isGiven }: Reach,
  what: readonly string[],
  read: () => Promise<T>,
): Promise<T> {
  if (kept === undefined) return read()
  const key = JSON.stringify([isGiven ? cluster.folder : folder, isGiven, ...what])
  const there = kept.get(key) ?? read()
  kept.set(key, there)
  return there as Promise<T>
}

/**
 * @param wanted which files of a folder, by name
 * @returns a file's bytes, or those of each wanted file in a folder by name; links in a folder are left out
 */
export function readFiles(
  path: string,
  reach: Reach,
  wanted: LinearPattern,
  where: string,
): Promise<Uint8Array | ReadonlyMap<string, Uint8Array>> {
  const read = async () => {
    const real = await follow(path, reach, where)
    const findKey = keyFinder(reach)
    if (!(await stat(real)).isDirectory()) return readPlain(real, findKey, where)
    const files = new Map<string, Uint8Array>()
    const names = (await readdir(real, { withFileTypes: true }))
      .filter((entry) => entry.isFile() && wanted.test(entry.name))
      .map(({ name }) => name)
    for (const name of names.sort()) {
      if (reach.isGiven) await requireOpen(join(real, name), reach.cluster.folder, where)
      files.set(name, await readPlain(join(real, name), findKey, where))
    }
    return files
  }
  return once(reach, ['files', path, wanted.source], () => explained(where, path, reach, read))
}

/** Where a path leads after all links. @throws {UsageError} out of the overlay's folder */
async function follow(path: string, { folder, cluster, isGiven }: Reach, where: string): Promise<string> {
  if (isGiven) {
    const real = await realpath(resolve(cluster.folder, path))
    await requireOpen(real, cluster.folder, where)
    return real
  }
  const home = await realpath(folder)
  const leadsOut = () =>
    new UsageError(`${where}: ${path} leads out of the overlay's folder ${folder}`, {
      hint: 'Put the file into the folder, or make it a parameter that the cluster file gives.',
    })
  if (!resolve(home, path).startsWith(home + sep)) throw leadsOut()
  const real = await realpath(resolve(home, path))
  if (!real.startsWith(home + sep)) throw leadsOut()
  return real
}

/**
 * What is the user's alone and lies where programs keep such things (`~/.ssh`, `/etc/shadow`) is nobody's to put
 * onto a card but the user's own.
 */
async function requireOpen(real: string, clusterFolder: string, where: string): Promise<void> {
  if (real.startsWith((await realpath(clusterFolder)) + sep)) return
  if (!HIDDEN.test(real) || (await isOpenToAll(real))) return
  throw new UsageError(`${where}: ${real} is not for everybody, and lies outside the cluster file's folder`, {
    hint: 'Copy it into the folder, if it is to be on a card. Did you write this cluster file?',
  })
}

/** Below a folder whose name begins with a dot, or among the system's own files. */
const HIDDEN = /\/\.|^(\/private)?\/(etc|proc|sys|run|boot|var\/(?!tmp\/|folders\/))/

interface Finders {
  key: Uint8Array
  holdsKey: SecretFinder
  /** Worked out when it is asked for the first time. */
  holdsDerived?: SecretFinder
}

/** Working out how a secret can be written down takes longer than looking for it. */
const findersOf = new WeakMap<Cluster, Finders>()

/** What finds this cluster's key, in whatever form, and in a parameter's files what is derived of it. */
function keyFinder({ cluster, isGiven }: Reach): (bytes: Uint8Array) => string | undefined {
  const path = join(cluster.folder, CLUSTER_KEY_FILE)
  let key: ClusterKey
  try {
    key = parseClusterKey(readInputText(path), path)
  } catch {
    // None, or none that we may read: then nothing of it can be passed on either.
    return () => undefined
  }
  let finders = findersOf.get(cluster)
  if (finders === undefined || Buffer.compare(finders.key, key.reveal()) !== 0) {
    finders = { key: key.reveal(), holdsKey: findAnyOf([key.reveal()]) }
    findersOf.set(cluster, finders)
  }
  const found = finders
  return (bytes) => {
    if (found.holdsKey(bytes)) return "a cluster's key"
    if (!isGiven) return undefined
    found.holdsDerived ??= findAnyOf(derivedSeeds(cluster, nodeKeys(key)))
    return found.holdsDerived(bytes) ? 'what was derived from cluster.key for a node' : undefined
  }
}

async function readPlain(
  path: string,
  findKey: ReturnType<typeof keyFinder>,
  where: string,
  longest = Number.POSITIVE_INFINITY,
): Promise<Uint8Array> {
  const handle = await open(path, PLAIN)
  try {
    const info = await handle.stat({ bigint: true })
    if (!info.isFile()) throw new UsageError(`${where}: ${path} is not a plain file`)
    if (info.size > longest)
      throw new UsageError(
        `${where}: ${path} has ${formatBytes(Number(info.size))}, more than any text needs`,
      )
    const bytes = new Uint8Array(await handle.readFile())
    const start = Buffer.from(bytes.subarray(0, 4096)).toString('latin1')
    const found = isClusterKeyFile(path, start) ? "a cluster's key" : findKey(bytes)
    if (found !== undefined)
      throw new UsageError(`${where}: ${path} holds ${found}, which no overlay puts on a card`, {
        hint: 'It is good for more than this node. Find out who wrote this overlay.',
      })
    if (looksLikeClusterKey(start, Number(info.mode)))
      throw new UsageError(
        `${where}: ${path} looks like a cluster's key: 64 hex digits that its owner alone may read`,
        { hint: 'If it is something else, write it down in another form, or as NAME=VALUE.' },
      )
    return bytes
  } finally {
    await handle.close()
  }
}

async function explained<T>(
  where: string,
  path: string,
  { isGiven }: Reach,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof PiimageError) throw error
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    throw new UsageError(`${where}: ${path} cannot be read: ${code}`, {
      hint: isGiven
        ? 'The path is relative to the cluster file.'
        : "The path is relative to the overlay's folder, and leads to a file in it.",
      cause: error,
    })
  }
}
