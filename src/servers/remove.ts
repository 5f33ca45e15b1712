/**
 * Take away what ./apply.ts put there, and nothing else: files whose digest is
 * the recorded one, folders that were made for them and are empty, the log.
 * Trees in the state folder are not touched here.
 */
import { readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { NetrootError } from '../errors.ts'
import { listMountsUnder } from '../io/mountinfo.ts'
import { type RunProgram, runProgram } from '../io/run-program.ts'
import type { Task } from '../progress.ts'
import { takeFolders } from './file-actions.ts'
import { findFile, isOurs, takeFile } from './place.ts'
import { readRecord, recordPath } from './record.ts'
import { DNSMASQ_FILE, NETROOT_LOG } from './server-file.ts'
import { hasSystemd, mountUnitsOf, systemctl } from './services.ts'
import { restoreServices, stopServing } from './stop.ts'
import { mountUnitName } from './written-value.ts'

export interface RemoveOptions {
  prefix?: string
  stateFolder: string
  run?: RunProgram
}

export interface Removed {
  removed: string[]
  /** Changed by hand since piimage wrote them. */
  kept: string[]
  /** In systemctl's words. */
  stopped: string[]
}

/**
 * @throws {NetrootError} a service or an overlay can't be stopped, because a node is up; then no file is gone
 * @throws the signal's reason, between two files; run again to go on
 */
export async function removeServers(
  { prefix = '', stateFolder, run = runProgram }: RemoveOptions,
  { signal }: Pick<Task, 'signal'>,
): Promise<Removed> {
  const recordFile = recordPath(prefix, stateFolder)
  const { files, folders, services } = await readRecord(recordFile)
  const paths = files.map(({ path }) => path)
  const isHere = prefix === '' && files.length > 0
  const hasServices = isHere && services.length > 0 && (await hasSystemd())
  const stopped = hasServices ? await stopServing(paths, services, run) : []
  if (isHere) await checkUnmounted(stateFolder, mountUnitsOf(paths))
  const removed: string[] = []
  const kept: string[] = []
  for (const recorded of files) {
    signal.throwIfAborted()
    const found = await findFile(prefix + recorded.path)
    if (found !== undefined && !isOurs(found, recorded)) {
      kept.push(recorded.path)
      continue
    }
    // Also where there is no file: a killed run may have left half of one beside it.
    await takeFile(prefix + recorded.path)
    if (found !== undefined) removed.push(recorded.path)
  }
  if (paths.includes(DNSMASQ_FILE)) removed.push(...(await takeLogs(prefix)))
  await takeFolders(folders, prefix)
  if (hasServices) {
    await systemctl(run, 'daemon-reload')
    await restoreServices(services, run)
  }
  await takeFile(recordFile)
  return { removed, kept, stopped }
}

async function checkUnmounted(stateFolder: string, units: readonly string[]): Promise<void> {
  const mounts = await listMountsUnder(stateFolder)
  const left = mounts.find((point) => units.includes(mountUnitName(point)))
  if (left !== undefined)
    throw new NetrootError(`${left} is still mounted`, {
      hint: `Shut its node down, then: umount '${left}', and run again.`,
    })
}

/** dnsmasq's log, and what logrotate made of it. */
async function takeLogs(prefix: string): Promise<string[]> {
  const folder = dirname(NETROOT_LOG)
  const names = await readdir(prefix + folder).catch(() => [])
  const own = names.filter(
    (name) =>
      name.startsWith(basename(NETROOT_LOG)) &&
      /^(\.\d+(\.gz)?)?$/.test(name.slice(basename(NETROOT_LOG).length)),
  )
  const paths = own.sort().map((name) => `${folder}/${name}`)
  for (const path of paths) await takeFile(prefix + path)
  return paths
}
