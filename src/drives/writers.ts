/**
 * Programs that have a drive open for writing. A mount or another device on top
 * shows elsewhere, and a program that asks for it alone is met when the drive is
 * opened (EBUSY); what opens a drive like a file, as virtual machines do, shows
 * only among its open files. What this user may not look into is left out.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { formatDeviceNumber } from './device-number.ts'

/**
 * @param numbers `major:minor` of the drive, its partitions and what stands on them
 * @returns in words: `process 812 (qemu-system-x86)`
 */
export function listWriters(numbers: readonly string[], proc = '/proc'): string[] {
  const pids = list(proc).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  return pids.filter((pid) => opensForWriting(join(proc, pid), numbers)).map((pid) => describe(proc, pid))
}

function opensForWriting(folder: string, numbers: readonly string[]): boolean {
  return list(join(folder, 'fd')).some((fd) => {
    try {
      const path = join(folder, 'fd', fd)
      // Only devices: a look at anything else may wait for a network.
      if (!readlinkSync(path).startsWith('/dev/')) return false
      const stats = statSync(path, { bigint: true })
      if (!stats.isBlockDevice() || !numbers.includes(formatDeviceNumber(stats.rdev))) return false
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(join(folder, 'fdinfo', fd), 'utf8'))?.[1]
      return (Number.parseInt(flags ?? '0', 8) & 3) !== 0
    } catch {
      return false
    }
  })
}

function describe(proc: string, pid: string): string {
  try {
    return `process ${pid} (${readFileSync(join(proc, pid, 'comm'), 'utf8').trim()})`
  } catch {
    return `process ${pid}`
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
