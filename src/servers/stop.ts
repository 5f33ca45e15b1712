/** Stopping what was started: file systems that nobody exports any more, and the services as they were. */

import { complaintOf, type RunProgram } from '../io/run-program.ts'
import { FIREWALL_SCRIPT, FIREWALL_UNIT } from './open-firewall.ts'
import type { RecordedService } from './record.ts'
import { mountUnitsOf, NFS_UNIT, systemctl } from './services.ts'

/**
 * Unmount file systems whose units are gone, overlays before what they lie on. One that is still in use stays: its
 * node is up, and it is not mounted again at the next start.
 * @param paths of unit files; others are passed over
 * @returns what was done, in systemctl's words
 */
export async function stopMounts(paths: readonly string[], run: RunProgram): Promise<string[]> {
  const done: string[] = []
  for (const unit of mountUnitsOf(paths).reverse()) {
    const ran = await run('systemctl', ['stop', unit])
    done.push(ran.status === 0 ? `stop ${unit}` : `${unit} is left mounted: ${complaintOf(ran)}`)
  }
  return done
}

/** Let services be what they were before piimage; with what is left of their settings. */
export async function restoreServices(services: readonly RecordedService[], run: RunProgram): Promise<void> {
  for (const { unit, enabled, active } of services) {
    // A unit may be gone with its package; then there is nothing to restore.
    if (!enabled) await run('systemctl', ['disable', unit])
    await run('systemctl', [active ? 'restart' : 'stop', unit])
  }
}

/**
 * Before the files go: no node is served any more, and no overlay stays mounted.
 * @throws {NetrootError} an overlay can't be unmounted
 */
export async function stopServing(
  paths: readonly string[],
  services: readonly RecordedService[],
  run: RunProgram,
): Promise<string[]> {
  const stopped: string[] = []
  for (const { unit } of services) {
    await systemctl(run, 'stop', unit)
    stopped.push(`stop ${unit}`)
    // What it had exported holds its file systems until it is forgotten.
    if (unit === NFS_UNIT) await run('exportfs', ['-f'])
  }
  const own = paths.includes(FIREWALL_SCRIPT) ? [FIREWALL_UNIT] : []
  for (const unit of [...own, ...mountUnitsOf(paths).reverse()]) {
    await systemctl(run, 'stop', unit)
    stopped.push(`stop ${unit}`)
  }
  return stopped
}
