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

interface Throttle {
  folders: string[]
  cpuSeconds(): number
  remove(): void
}

/** A drive's `major:minor`, and what it may do. */
type Limit = Rates & { number: string }

const V1 = '/sys/fs/cgroup/blkio'

/** @throws {Error} not root, or no control groups */
export function openThrottledDrives(cards: readonly Card[]): ThrottledDrives {
  const paths: string[] = []
  const detach = () => {
    for (const path of paths) spawnSync('losetup', ['--detach', path])
  }
  try {
    for (const { file } of cards) paths.push(attach(file))
    const names = paths.map((path) => basename(path))
    const limits = names.map((name, index) => ({
      ...cards[index]?.rates,
      number: readFileSync(`/sys/block/${name}/dev`, 'utf8').trim(),
    }))
    const sectors = () =>
      names.reduce((sum, name) => {
        const fields = readFileSync(`/sys/block/${name}/stat`, 'utf8').trim().split(/\s+/)
        return sum + Number(fields[6])
      }, 0)
    const before = sectors()
    const throttle = existsSync(V1) ? throttleV1(limits) : throttleV2(limits)
    return {
      paths,
      groups: throttle.folders.map((folder) => `${folder}/cgroup.procs`),
      cpuSeconds: throttle.cpuSeconds,
      bytesWritten: () => (sectors() - before) * 512,
      remove: () => {
        try {
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

function attach(file: string): string {
  const find = (...options: string[]) =>
    spawnSync('losetup', [...options, '--show', '--find', file], { encoding: 'utf8' })
  const direct = find('--direct-io=on')
  // A tmpfs has no page cache to go past.
  const losetup = direct.status === 0 ? direct : find()
  if (losetup.status !== 0) throw new Error(`losetup: ${losetup.stderr} (are you root?)`)
  return losetup.stdout.trim()
}

function throttleV1(limits: readonly Limit[]): Throttle {
  const [io, cpu] = [`${V1}/piimage-${process.pid}`, `/sys/fs/cgroup/cpuacct/piimage-${process.pid}`]
  mkdirSync(io)
  mkdirSync(cpu)
  const set = (folder: string, number: string, { write = 0, read = 0 }: Rates) => {
    writeFileSync(`${folder}/blkio.throttle.write_bps_device`, `${number} ${write}`)
    writeFileSync(`${folder}/blkio.throttle.read_bps_device`, `${number} ${read}`)
  }
  for (const { number, ...rates } of limits) for (const folder of [io, V1]) set(folder, number, rates)
  return {
    folders: [io, cpu],
    cpuSeconds: () => Number(readFileSync(`${cpu}/cpuacct.usage`, 'utf8')) / 1e9,
    remove: () => {
      // A limit of 0 is none.
      for (const { number } of limits) set(V1, number, {})
      rmdirSync(io)
      rmdirSync(cpu)
    },
  }
}

function throttleV2(limits: readonly Limit[]): Throttle {
  const root = '/sys/fs/cgroup'
  writeFileSync(`${root}/cgroup.subtree_control`, '+io +cpu')
  const folder = `${root}/piimage-${process.pid}`
  mkdirSync(folder)
  for (const { number, write = 'max', read = 'max' } of limits)
    writeFileSync(`${folder}/io.max`, `${number} wbps=${write} rbps=${read}`)
  return {
    folders: [folder],
    cpuSeconds: () =>
      Number(/^usage_usec (\d+)/m.exec(readFileSync(`${folder}/cpu.stat`, 'utf8'))?.[1] ?? 0) / 1e6,
    remove: () => rmdirSync(folder),
  }
}
