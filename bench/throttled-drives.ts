/**
 * Simulated cards: loop devices whose rates the kernel holds down to those of
 * SD cards. What limits a run is then the card and not the machine around it,
 * so ratios between programs are stable.
 *
 * Control groups do the throttling. With version 1, writes that the kernel's
 * flusher issues for a buffered writer are accounted to the root group: the
 * limit is set there, too, or buffered writers would be let off.
 * Source: Linux Documentation/admin-guide/cgroup-v1/blkio-controller.rst, cgroup-v2.rst ("io.max").
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

export interface Rates {
  /** Bytes per second; undefined: as fast as it goes. */
  write?: number
  read?: number
}

export interface Card {
  /** A file as large as the card is to be. */
  file: string
  rates: Rates
}

export interface ThrottledDrives {
  paths: string[]
  /** Files a process id is written to, so that the process and its children are throttled and counted. */
  groups: string[]
  /** CPU time of everything that ran in the group, seconds. */
  cpuSeconds(): number
  /** Bytes all drives together were given since they were made. */
  bytesWritten(): number
  remove(): void
}

/** Control groups whose processes are held to the rates of each drive. */
export interface Throttle {
  /** Files a process id is written to. */
  groups: string[]
  /** What a drive may do from now on; `{}` before it goes, for its number is given to others. */
  limit(path: string, rates: Rates): void
  /** CPU time of everything that ran in the group, seconds. */
  cpuSeconds(): number
  /** Its processes have ended. */
  remove(): void
}

const V1 = '/sys/fs/cgroup/blkio'

export const openThrottle = (): Throttle => (existsSync(V1) ? throttleV1() : throttleV2())

/** @throws {Error} not root, or no control groups */
export function openThrottledDrives(cards: readonly Card[]): ThrottledDrives {
  const paths: string[] = []
  const detach = () => {
    for (const path of paths) spawnSync('losetup', ['--detach', path])
  }
  try {
    for (const { file } of cards) paths.push(attachDrive(file))
    const names = paths.map((path) => basename(path))
    const sectors = () =>
      names.reduce((sum, name) => {
        const fields = readFileSync(`/sys/block/${name}/stat`, 'utf8').trim().split(/\s+/)
        return sum + Number(fields[6])
      }, 0)
    const before = sectors()
    const throttle = openThrottle()
    for (const [index, path] of paths.entries()) throttle.limit(path, cards[index]?.rates ?? {})
    return {
      paths,
      groups: throttle.groups,
      cpuSeconds: throttle.cpuSeconds,
      bytesWritten: () => (sectors() - before) * 512,
      remove: () => {
        try {
          for (const path of paths) throttle.limit(path, {})
          throttle.remove()
        } finally {
          detach()
        }
      },
    }
  } catch (error) {
    detach()
    throw error
  }
}

/** @returns its path */
export function attachDrive(file: string): string {
  const find = (...options: string[]) =>
    spawnSync('losetup', [...options, '--show', '--find', file], { encoding: 'utf8' })
  const direct = find('--direct-io=on')
  // A tmpfs has no page cache to go past.
  const losetup = direct.status === 0 ? direct : find()
  if (losetup.status !== 0) throw new Error(`losetup: ${losetup.stderr} (are you root?)`)
  return losetup.stdout.trim()
}

const numberOf = (path: string): string => readFileSync(`/sys/block/${basename(path)}/dev`, 'utf8').trim()

const processesOf = (folder: string): string => `${folder}/cgroup.procs`

function throttleV1(): Throttle {
  const [io, cpu] = [`${V1}/piimage-${process.pid}`, `/sys/fs/cgroup/cpuacct/piimage-${process.pid}`]
  mkdirSync(io)
  mkdirSync(cpu)
  return {
    groups: [io, cpu].map(processesOf),
    // A limit of 0 is none.
    limit(path, { write = 0, read = 0 }) {
      for (const folder of [io, V1]) {
        writeFileSync(`${folder}/blkio.throttle.write_bps_device`, `${numberOf(path)} ${write}`)
        writeFileSync(`${folder}/blkio.throttle.read_bps_device`, `${numberOf(path)} ${read}`)
      }
    },
    cpuSeconds: () => Number(readFileSync(`${cpu}/cpuacct.usage`, 'utf8')) / 1e9,
    remove: () => {
      rmdirSync(io)
      rmdirSync(cpu)
    },
  }
}

function throttleV2(): Throttle {
  const root = '/sys/fs/cgroup'
  writeFileSync(`${root}/cgroup.subtree_control`, '+io +cpu')
  const folder = `${root}/piimage-${process.pid}`
  mkdirSync(folder)
  return {
    groups: [processesOf(folder)],
    limit: (path, { write = 'max', read = 'max' }) =>
      writeFileSync(`${folder}/io.max`, `${numberOf(path)} wbps=${write} rbps=${read}`),
    cpuSeconds: () =>
      Number(/^usage_usec (\d+)/m.exec(readFileSync(`${folder}/cpu.stat`, 'utf8'))?.[1] ?? 0) / 1e6,
    remove: () => rmdirSync(folder),
  }
}
