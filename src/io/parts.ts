/**
 * Files on their way are called `<name>.<pid>.part` and renamed when they are
 * whole. What a killed process left behind is cleared by the next one that
 * makes the same file; a living one means that two make it at once.
 */
import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isRunning, programOf } from './processes.ts'

/** Where this process gathers what will be `path`. */
export const partOf = (path: string): string => `${path}.${process.pid}.part`

/**
 * Remove the parts of `path` that killed processes left.
 * @returns the number of a living process other than this one that makes `path`
 */
export async function clearDeadParts(path: string): Promise<number | undefined> {
  const start = `${basename(path)}.`
  let living: number | undefined
  for (const name of await readdir(dirname(path))) {
    const pid = name.startsWith(start) ? /^(\d+)\.part$/.exec(name.slice(start.length))?.[1] : undefined
    if (pid === undefined || Number(pid) === process.pid) continue
    if (isAlive(Number(pid))) living = Number(pid)
    else await rm(join(dirname(path), name), { force: true })
  }
  return living
}

/** Names in a folder that begin with `start` and the number of a process that is gone. */
export async function listDead(folder: string, start: string): Promise<string[]> {
  const names = await readdir(folder)
  return names.filter((name) => {
    const pid = name.startsWith(start) ? /^\d+/.exec(name.slice(start.length))?.[0] : undefined
    return pid !== undefined && !isAlive(Number(pid))
  })
}

/**
 * Whether a process of that number runs and may be a piimage: after a restart
 * of the machine, the number of a dead one is soon some daemon's.
 */
export function isAlive(pid: number): boolean {
  if (!isRunning(pid)) return false
  const program = programOf(pid)
  return program === undefined || basename(program) === basename(process.execPath)
}
