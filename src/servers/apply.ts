/**
 * Put the servers' files in place: all of them, checked by the servers' own
 * checkers, or none.
 *
 * Order: nothing that is not ours is in the way → record → files → packages →
 * check → start → record. Whatever fails after the first file puts back what
 * was there, byte for byte.
 */
import { NetrootError } from '../errors.ts'
import { type RunProgram, runProgram } from '../io/run-program.ts'
import type { Task } from '../progress.ts'
import { type Checked, checkServers } from './check.ts'
import { carryOut, type FileActions, planFileActions, putBack } from './file-actions.ts'
import { installPackages, missingPackages } from './install.ts'
import { FIREWALL_SCRIPT, FIREWALL_UNIT } from './open-firewall.ts'
import { takeFile } from './place.ts'
import {
  digestOf,
  type RecordedFile,
  type RecordedService,
  readRecord,
  recordPath,
  type ServersRecord,
  writeRecord,
} from './record.ts'
import type { ServerFile } from './server-file.ts'
import { hasSystemd, readServices, startServers, systemctl, unitsOf } from './services.ts'
import { restoreServices, stopMounts } from './stop.ts'

export interface ApplyOptions {
  /** The folder that stands for `/`; '' is this machine. */
  prefix?: string
  stateFolder: string
  /** Start and reload what the files are for. */
  start: boolean
  /** Install missing packages with apt-get. */
  install?: boolean
  run?: RunProgram
}

export interface Applied {
  /** Without prefix; in the order they were written. */
  written: string[]
  /** Files of an earlier run that are no longer wanted. */
  taken: string[]
  /** Such files that were changed by hand, and stay. */
  kept: string[]
  checks: Checked[]
  /** In systemctl's words. */
  started: string[]
  /** Why nothing was started, where it should have been. */
  notStarted?: string
}

/**
 * @throws {NetrootError} a file that is not ours, or was changed by hand, is in the way; a package is missing; a
 *   checker or a service says no
 * @throws the signal's reason; then, too, everything is as it was
 */
export async function applyServers(
  files: readonly ServerFile[],
  { prefix = '', stateFolder, start, install = false, run = runProgram }: ApplyOptions,
  { signal }: Pick<Task, 'signal'>,
): Promise<Applied> {
  const recordFile = recordPath(prefix, stateFolder)
  const before = await readRecord(recordFile)
  const plan = await planFileActions(files, before, prefix)
  const isHere = start && prefix === '' && (await hasSystemd())
  const missing = isHere || install ? await missingPackages(files, run) : []
  if (missing.length > 0 && !install)
    throw new NetrootError(`this machine lacks ${missing.join(', ')}`, {
      hint: `Run again with --install, or: apt-get install ${missing.join(' ')}`,
    })
  const seen = isHere ? await firstSeen(before, files, run) : []
  const record: ServersRecord = {
    files: filesMeanwhile(files, before),
    folders: [...new Set([...before.folders, ...plan.folders])],
    services: [...before.services, ...seen],
    pending: [...new Set([...before.pending, ...plan.steps.map(({ path }) => path)])],
  }
  signal.throwIfAborted()
  await writeRecord(recordFile, record)
  let checks: Checked[]
  let started: string[] = []
  try {
    // It shuts what it opened while the script that opened it is still there.
    const shuts = plan.steps.some(({ path, found }) => path === FIREWALL_SCRIPT && found !== undefined)
    if (isHere && shuts) await systemctl(run, 'stop', FIREWALL_UNIT)
    await carryOut(plan, prefix, signal)
    if (missing.length > 0) await installPackages(missing, run, signal)
    checks = await checkServers(files, prefix, run)
    signal.throwIfAborted()
    if (isHere) started = await startPending(files, record.pending, run)
  } catch (error) {
    if (isHere) await stopMounts(newPaths(plan), run)
    await putBack(plan, prefix)
    if (before.files.length === 0) await takeFile(recordFile)
    else await writeRecord(recordFile, before)
    if (isHere) await resume(before, seen, run)
    throw error
  }
  await writeRecord(recordFile, {
    ...record,
    files: [...recordedFiles(files), ...plan.kept],
    pending: isHere ? [] : record.pending,
  })
  return {
    written: plan.steps.filter(({ wanted }) => wanted !== undefined).map(({ path }) => path),
    taken: plan.steps.filter(({ wanted }) => wanted === undefined).map(({ path }) => path),
    kept: plan.kept.map(({ path }) => path),
    checks,
    started,
    notStarted: start && !isHere ? whyNotStarted(prefix) : undefined,
  }
}

const whyNotStarted = (prefix: string): string =>
  prefix === '' ? 'no systemd runs here' : `the files are for the machine in ${prefix}`

const recordedFiles = (files: readonly ServerFile[]): RecordedFile[] =>
  files.map(({ path, content }) => ({ path, digests: [digestOf(content)] }))

/** While a run is under way a file may hold its old or its new content. */
function filesMeanwhile(files: readonly ServerFile[], before: ServersRecord): RecordedFile[] {
  const old = new Map(before.files.map(({ path, digests }) => [path, digests]))
  const now = recordedFiles(files).map(({ path, digests }) => {
    const earlier = old.get(path) ?? []
    old.delete(path)
    return { path, digests: [...new Set([...earlier, ...digests])] }
  })
  return [...now, ...[...old].map(([path, digests]) => ({ path, digests }))]
}

/** Services that no earlier run has touched, as they are now. */
function firstSeen(
  before: ServersRecord,
  files: readonly ServerFile[],
  run: RunProgram,
): Promise<RecordedService[]> {
  const known = before.services.map(({ unit }) => unit)
  return readServices(
    unitsOf(files.map(({ path }) => path)).filter((unit) => !known.includes(unit)),
    run,
  )
}

async function startPending(
  files: readonly ServerFile[],
  pending: readonly string[],
  run: RunProgram,
): Promise<string[]> {
  const started = await startServers(files, new Set(pending), run)
  const gone = pending.filter((path) => files.every((file) => file.path !== path))
  return [...started, ...(await stopMounts(gone, run))]
}

const newPaths = ({ steps }: FileActions): string[] =>
  steps.filter(({ found }) => found === undefined).map(({ path }) => path)

/** After a failure: services go on with what was put back, and those that were new to us are as they were. */
async function resume(
  before: ServersRecord,
  seen: readonly RecordedService[],
  run: RunProgram,
): Promise<void> {
  await systemctl(run, 'daemon-reload').catch(() => {})
  await restoreServices(seen, run)
  for (const { unit } of before.services) await run('systemctl', ['try-restart', unit])
  if (before.files.some(({ path }) => path === FIREWALL_SCRIPT))
    await run('systemctl', ['restart', FIREWALL_UNIT])
}
