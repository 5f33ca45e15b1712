/**
 * Starting what the files are for, and no more than that: a node that is up must
 * not notice that another one was added. The NFS server is only started again
 * when its own settings changed; dnsmasq only reads reservations again when
 * nothing else changed.
 *
 * Debian's unit names. Where no systemd runs, nothing is started.
 */
import { access } from 'node:fs/promises'
import { basename } from 'node:path'
import { NetrootError } from '../errors.ts'
import { complaintOf, type RunProgram } from '../io/run-program.ts'
import { FIREWALL_SCRIPT, FIREWALL_UNIT } from './open-firewall.ts'
import type { RecordedService } from './record.ts'
import {
  DNSMASQ_FILE,
  EXPORTS_FILE,
  NFS_CONF_FILE,
  RESERVATIONS_FILE,
  type ServerFile,
  UNIT_FOLDER,
} from './server-file.ts'

export const DNSMASQ_UNIT = 'dnsmasq.service'
export const NFS_UNIT = 'nfs-server.service'

/** Whether the machine's services can be started from here. */
export async function hasSystemd(): Promise<boolean> {
  return access('/run/systemd/system').then(
    () => true,
    () => false,
  )
}

/** The services that some files are for. */
export function unitsOf(paths: readonly string[]): string[] {
  return [
    ...(paths.includes(DNSMASQ_FILE) ? [DNSMASQ_UNIT] : []),
    ...(paths.includes(EXPORTS_FILE) ? [NFS_UNIT] : []),
  ]
}

/** Mount units among files, by name. */
export const mountUnitsOf = (paths: readonly string[]): string[] =>
  paths
    .filter((path) => path.startsWith(`${UNIT_FOLDER}/`) && path.endsWith('.mount'))
    .map((path) => basename(path))

export async function readServices(units: readonly string[], run: RunProgram): Promise<RecordedService[]> {
  const services: RecordedService[] = []
  for (const unit of units) {
    const enabled = (await run('systemctl', ['is-enabled', '--quiet', unit])).status === 0
    const active = (await run('systemctl', ['is-active', '--quiet', unit])).status === 0
    services.push({ unit, enabled, active })
  }
  return services
}

/** @throws {NetrootError} systemctl, or what it starts, says no */
export async function systemctl(run: RunProgram, ...args: string[]): Promise<void> {
  const ran = await run('systemctl', args)
  if (ran.status === 0) return
  const unit = args.at(-1) ?? ''
  throw new NetrootError(`systemctl ${args.join(' ')}: ${complaintOf(ran)}`, {
    hint: `journalctl -u '${unit}' -n 20 says why.`,
  })
}

/**
 * @param changed paths of files that the services have not seen, or that are gone
 * @returns what was done, in systemctl's words
 * @throws {NetrootError} a service does not start
 */
export async function startServers(
  files: readonly ServerFile[],
  changed: ReadonlySet<string>,
  run: RunProgram,
): Promise<string[]> {
  const done: string[] = []
  const act = async (verb: string, ...units: string[]): Promise<void> => {
    if (units.length === 0) return
    await systemctl(run, verb, ...units)
    done.push([verb, ...units].join(' '))
  }
  const paths = files.map(({ path }) => path)
  const units = unitsOf(paths)
  const before = await readServices(units, run)
  if ([...changed].some((path) => path.startsWith(UNIT_FOLDER))) await systemctl(run, 'daemon-reload')
  await act('enable', ...before.filter(({ enabled }) => !enabled).map(({ unit }) => unit))
  // What is mounted stays as it is; one that failed earlier gets another chance.
  await act('start', ...mountUnitsOf(paths))
  for (const { unit, active } of before) {
    const verb = verbFor(unit, active, changed)
    if (verb !== undefined) await act(verb, unit)
  }
  // It is piimage's own, and wanted by the others: nobody has to know how it was before.
  if (paths.includes(FIREWALL_SCRIPT)) {
    const [now] = await readServices([FIREWALL_UNIT], run)
    if (!now?.active || changed.has(FIREWALL_SCRIPT)) await act('restart', FIREWALL_UNIT)
  }
  return done
}

function verbFor(unit: string, isActive: boolean, changed: ReadonlySet<string>): string | undefined {
  if (!isActive) return 'restart'
  const [settings, data] =
    unit === NFS_UNIT ? [NFS_CONF_FILE, EXPORTS_FILE] : [DNSMASQ_FILE, RESERVATIONS_FILE]
  if (changed.has(settings)) return 'restart'
  return changed.has(data) ? 'reload' : undefined
}
