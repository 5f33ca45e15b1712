/**
 * A simulated card: a loop device whose rates the kernel holds down to those of
 * an SD card. What limits a run is then the card and not the machine around it,
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

export interface ThrottledDrive {
  path: string
  /** Files a process id is written to, so that the process and its children are throttled and counted. */
  groups: string[]
  /** CPU time of everything that ran in the group, seconds. */
  cpuSeconds(): number
  /** Bytes the drive was given since it was made. */
  bytesWritten(): number
  remove(): void
}

const V1 = '/sys/fs/cgroup/blkio'

/** @param file a file as large as the card is to be @throws {Error} not root, or no control groups */
export function openThrottledDrive(file: string, rates: Rates): ThrottledDrive {
  const losetup = spawnSync('losetup', ['--direct-io=on', '--show', '--find', file], { encoding: 'utf8' })
  if (losetup.status !== 0) throw new Error(`losetup: ${losetup.stderr} (are you root?)`)
  const path = losetup.stdout.trim()
  const name = basename(path)
  const number = readFileSync(`/sys/block/${name}/dev`, 'utf8').trim()
  const sectorsWritten = () => Number(readFileSync(`/sys/block/${name}/stat`, 'utf8').trim().split(/\s+/)[6])
  const before = sectorsWritten()
  const throttle = existsSync(V1) ? throttleV1(number, rates) : throttleV2(number, rates)
  return {
    path,
    groups: throttle.folders.map((folder) => `${folder}/cgroup.procs`),
    cpuSeconds: throttle.cpuSeconds,
    bytesWritten: () => (sectorsWritten() - before) * 512,
    remove: () => {
      throttle.remove()
      spawnSync('losetup', ['--detach', path])
    },
  }
}

interface Throttle {
  folders: string[]
  cpuSeconds(): number
  remove(): void
}

function throttleV1(number: string, rates: Rates): Throttle {
  const [io, cpu] = [`${V1}/piimage-${process.pid}`, `/sys/fs/cgroup/cpuacct/piimage-${process.pid}`]
  mkdirSync(io)
  mkdirSync(cpu)
  const limit = (folder: string, write = 0, read = 0) => {
    writeFileSync(`${folder}/blkio.throttle.write_bps_device`, `${number} ${write}`)
    writeFileSync(`${folder}/blkio.throttle.read_bps_device`, `${number} ${read}`)
  }
  limit(io, rates.write, rates.read)
  limit(V1, rates.write, rates.read)
  return {
    folders: [io, cpu],
    cpuSeconds: () => Number(readFileSync(`${cpu}/cpuacct.usage`, 'utf8')) / 1e9,
    remove: () => {
      // A limit of 0 is none.
      limit(V1)
      rmdirSync(io)
      rmdirSync(cpu)
    },
  }
}

function throttleV2(number: string, rates: Rates): Throttle {
  const root = '/sys/fs/cgroup'
  writeFileSync(`${root}/cgroup.subtree_control`, '+io +cpu')
  const folder = `${root}/piimage-${process.pid}`
  mkdirSync(folder)
  writeFileSync(`${folder}/io.max`, `${number} wbps=${rates.write ?? 'max'} rbps=${rates.read ?? 'max'}`)
  return {
    folders: [folder],
    cpuSeconds: () =>
      Number(/^usage_usec (\d+)/m.exec(readFileSync(`${folder}/cpu.stat`, 'utf8'))?.[1] ?? 0) / 1e6,
    remove: () => rmdirSync(folder),
  }
}
