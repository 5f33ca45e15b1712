/**
 * Files on their way are called `<name>.<pid>-<place>.part` and renamed when
 * they are whole. What a killed process left behind is cleared by the next one
 * that makes the same file. A process number means something only where it was
 * given: a container that shares the folder has others.
 */
import { lstatSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { sha256 } from '../digest.ts'
import { isRunning, processPlace, programOf } from './processes.ts'

/** What is a day old and of another place: whoever made it has ended. */
const LONG_AGO_MS = 24 * 60 * 60_000

const place = (): string => sha256(processPlace()).slice(0, 8)

/** A name that says whose it is: `start` and this process, as `listDead` understands it. */
export const ownName = (start: string): string => `${start}${process.pid}-${place()}`

/** Where this process gathers what will be `path`. */
export const partOf = (path: string): string => `${ownName(`${path}.`)}.part`

const startOfParts = (path: string): string => `${basename(path)}.`
const isPartOf = (path: string, name: string): boolean =>
  name.startsWith(startOfParts(path)) && /^\d+-[0-9a-f]{8}\.part$/.test(name.slice(startOfParts(path).length))

/** Remove the parts of `path` that killed processes left. */
export async function clearDeadParts(path: string): Promise<void> {
  await removeParts(path, await listDead(dirname(path), startOfParts(path)))
}

/** Remove every part of `path`: for whoever holds its lock (./file-lock.ts) and has not begun. */
export async function clearParts(path: string): Promise<void> {
  await removeParts(path, await readdir(dirname(path)))
}

async function removeParts(path: string, names: readonly string[]): Promise<void> {
  for (const name of names) if (isPartOf(path, name)) await rm(join(dirname(path), name), { force: true })
}

/** Names in a folder that `ownName(start)` begins in a process that is gone. */
export async function listDead(folder: string, start: string): Promise<string[]> {
  const here = place()
  const names = await readdir(folder)
  return names.filter((name) => {
    const [, pid, at] =
      (name.startsWith(start) && /^(\d+)-([0-9a-f]{8})/.exec(name.slice(start.length))) || []
    if (pid === undefined) return false
    return at === here ? !isAlive(Number(pid)) : isLongAgo(join(folder, name))
  })
}

function isLongAgo(path: string): boolean {
  const { mtimeMs } = lstatSync(path, { throwIfNoEntry: false }) ?? {}
  return mtimeMs !== undefined && Date.now() - mtimeMs > LONG_AGO_MS
}

/**
 * Whether a process of that number runs and may be a piimage: after a restart
 * of the machine, the number of a dead one is soon some daemon's.
 */
function isAlive(pid: number): boolean {
  if (!isRunning(pid)) return false
  const program = programOf(pid)
  return program === undefined || basename(program) === basename(process.execPath)
}
