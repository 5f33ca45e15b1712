/**
 * The files that an overlay brings along. An overlay may be a stranger's, so its
 * paths lead to its own folder, after links; elsewhere leads only a parameter
 * of the cluster file. That may be a stranger's, too: outside of its folder it
 * leads to nothing that is kept for the user alone (`~/.ssh`, `/etc/shadow`).
 * Nothing ever leads to the cluster's key: not by its name, by another name of
 * it, or to a copy of what is in it; nor to what looks like another cluster's.
 *
 * A message names the path and never holds what was read.
 */
import { constants } from 'node:fs'
import { open, readdir, realpath, stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { PiimageError, UsageError } from '../errors.ts'
import { readInputText } from '../io/input-file.ts'
import { isOpenToAll } from '../io/ownership.ts'
import {
  CLUSTER_KEY_FILE,
  isClusterKeyFile,
  looksLikeClusterKey,
  parseClusterKey,
} from '../secrets/cluster-key.ts'
import { findAnyOf, type SecretFinder } from '../secrets/occurrences.ts'
import { formatBytes, MiB } from '../units.ts'
import type { LinearPattern } from './foreign-schema.ts'

/** Where a path of an overlay may lead. */
export interface Reach {
  /** The overlay's folder. */
  folder: string
  /** The cluster file's. */
  clusterFolder: string
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
  { kept, folder, clusterFolder, isGiven }: Reach,
  what: readonly string[],
  read: () => Promise<T>,
): Promise<T> {
  if (kept === undefined) return read()
  const key = JSON.stringify([isGiven ? clusterFolder : folder, isGiven, ...what])
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
    const holdsKey = keyFinder(reach)
    if (!(await stat(real)).isDirectory()) return readPlain(real, holdsKey, where)
    const files = new Map<string, Uint8Array>()
    const names = (await readdir(real, { withFileTypes: true }))
      .filter((entry) => entry.isFile() && wanted.test(entry.name))
      .map(({ name }) => name)
    for (const name of names.sort()) {
      if (reach.isGiven) await requireOpen(join(real, name), reach.clusterFolder, where)
      files.set(name, await readPlain(join(real, name), holdsKey, where))
    }
    return files
  }
  return once(reach, ['files', path, wanted.source], () => explained(where, path, reach, read))
}

/** Where a path leads after all links. @throws {UsageError} out of the overlay's folder */
async function follow(
  path: string,
  { folder, clusterFolder, isGiven }: Reach,
  where: string,
): Promise<string> {
  if (isGiven) {
    const real = await realpath(resolve(clusterFolder, path))
    await requireOpen(real, clusterFolder, where)
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

let lastKey: { key: Uint8Array; contains: SecretFinder } | undefined

/** What finds this cluster's key, in whatever form. */
function keyFinder({ clusterFolder }: Reach): SecretFinder {
  const path = join(clusterFolder, CLUSTER_KEY_FILE)
  try {
    const key = parseClusterKey(readInputText(path), path).reveal()
    // Working out how a key can be written down takes longer than looking for it.
    if (lastKey === undefined || Buffer.compare(lastKey.key, key) !== 0)
      lastKey = { key, contains: findAnyOf([key]) }
    return lastKey.contains
  } catch {
    // None, or none that we may read: then nothing of it can be passed on either.
    return () => false
  }
}

async function readPlain(
  path: string,
  holdsKey: SecretFinder,
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
    if (holdsKey(bytes) || isClusterKeyFile(path, start))
      throw new UsageError(`${where}: ${path} holds a cluster's key, which is never put on a card`, {
        hint: 'Whoever has it has every node. Find out who wrote this overlay.',
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
