/**
 * Files on their way are called `<name>.<pid>.part` and renamed when they are
 * whole. What a killed process left behind is cleared by the next one that
 * makes the same file.
 */
import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isRunning, programOf } from './processes.ts'

/** Where this process gathers what will be `path`. */
export const partOf = (path: string): string => `${path}.${process.pid}.part`

/** Remove the parts of `path` that killed processes left. */
export async function clearDeadParts(path: string): Promise<void> {
  const folder = dirname(path)
  for (const name of await listDead(folder, `${basename(path)}.`))
    if (/\.\d+\.part$/.test(name)) await rm(join(folder, name), { force: true })
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
