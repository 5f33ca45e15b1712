/** What a bench that was killed leaves behind: throttled loop devices, control groups, card files. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const GROUPS = '/sys/fs/cgroup'
const CARDS = /^cards-(\d+)$/
const GROUP = /^piimage-(\d+)$/

/**
 * Take away what dead benches left; living ones are left alone.
 * @param work the folder they worked in
 */
export function removeLeftovers(work: string): void {
  for (const folder of [`${GROUPS}/cpuacct`, `${GROUPS}/blkio`, GROUPS])
    for (const name of deadOnes(folder, GROUP)) removeGroup(folder, name)
  for (const name of deadOnes(work, CARDS)) {
    const folder = join(work, name)
    for (const path of loopsOver(folder)) spawnSync('losetup', ['--detach', path])
    spawnSync('umount', [join(folder, 'small')])
    rmSync(folder, { recursive: true })
    process.stderr.write(`removed what an earlier run left in ${folder}\n`)
  }
}

function deadOnes(folder: string, pattern: RegExp): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder).filter((name) => {
    const pid = pattern.exec(name)?.[1]
    return pid !== undefined && !isBench(pid)
  })
}

/** A process id is used again in time: then it is another program's. */
function isBench(pid: string): boolean {
  try {
    return /bench\/(run|station)\.js/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  } catch {
    return false
  }
}

/** Its processes are ended: they write to cards that are about to go. */
function removeGroup(folder: string, name: string): void {
  const group = join(folder, name)
  const pids = () => readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)
  for (const pid of pids()) spawnSync('kill', ['-KILL', pid])
  for (const file of ['blkio.throttle.write_bps_device', 'blkio.throttle.read_bps_device']) {
    if (!existsSync(join(group, file))) continue
    // With version 1 the root group was throttled as well; a limit of 0 is none.
    for (const line of readFileSync(join(group, file), 'utf8').split('\n').filter(Boolean))
      writeFileSync(join(folder, file), `${line.split(' ', 1)[0]} 0`)
  }
  for (let tries = 0; tries < 100 && pids().length > 0; tries += 1) spawnSync('sleep', ['0.1'])
  rmdirSync(group)
}

function loopsOver(folder: string): string[] {
  const { stdout } = spawnSync('losetup', ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE'], {
    encoding: 'utf8',
  })
  return stdout.split('\n').flatMap((line) => {
    const [path = '', file = ''] = line.split(' ')
    return file.startsWith(`${folder}/`) ? [path] : []
  })
}
