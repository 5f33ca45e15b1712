/** What is laid out → the servers' files, shown, written, or written and started. */

import type { ServedCluster } from '../../netroot/served.ts'
import { applyServers } from '../../servers/apply.ts'
import { diffServers } from '../../servers/diff-files.ts'
import type { Firewall } from '../../servers/machine.ts'
import { checkServable } from '../../servers/obstacles.ts'
import { FIREWALL_SCRIPT } from '../../servers/open-firewall.ts'
import { readMachine } from '../../servers/read-machine.ts'
import { readRecord, recordPath } from '../../servers/record.ts'
import { renderServers } from '../../servers/render.ts'
import type { ServerFile } from '../../servers/server-file.ts'
import type { Caller } from '../caller.ts'
import type { Site } from './site.ts'
import { tellFirewall } from './tell-firewall.ts'

export interface ServeOptions {
  /** Check and start the servers too. */
  apply?: boolean
  /** With `apply`: install their packages. */
  install?: boolean
  /** With `apply`: open this machine's firewall for what nodes ask. Default: as an earlier run left it. */
  openFirewall?: boolean
}

/** Before anything is made. @throws {NetrootError} this machine can't serve, if it is to start now */
export async function checkServers(
  served: ServedCluster,
  { apply }: ServeOptions,
  site: Site,
): Promise<void> {
  const machine = await readMachine({ ...onServer(site), face: served.server.interface })
  renderServers(served, machine, true)
  if (apply) checkServable(served, machine)
}

const onServer = ({ place, state }: Site) => ({ prefix: place.prefix, stateFolder: state })

async function render(
  served: ServedCluster,
  site: Site,
  openFirewall?: boolean,
): Promise<{ files: ServerFile[]; firewall: Firewall | undefined }> {
  const machine = await readMachine({ ...onServer(site), face: served.server.interface })
  const record = await readRecord(recordPath(site.place.prefix, site.state))
  const isOpen = record.files.some(({ path }) => path === FIREWALL_SCRIPT)
  return {
    files: renderServers(served, machine, openFirewall ?? isOpen),
    firewall: machine.running?.firewall,
  }
}

/** Tell every file as a diff against what is there. @returns the firewall that this machine has */
export async function tellServerFiles(
  served: ServedCluster,
  { openFirewall }: ServeOptions,
  site: Site,
  { onEvent }: Caller,
): Promise<Firewall | undefined> {
  const { files, firewall } = await render(served, site, openFirewall)
  const changes = await diffServers(files, onServer(site))
  for (const change of changes) onEvent({ event: 'server-file', ...change })
  return firewall
}

/** @throws {NetrootError} a server refuses its file or doesn't start; then all files are as they were */
export async function serve(
  served: ServedCluster,
  { apply = false, install = false, openFirewall }: ServeOptions,
  site: Site,
  caller: Caller,
): Promise<{ started: boolean }> {
  const options = { ...onServer(site), start: apply, install }
  const { files } = await render(served, site, openFirewall)
  const applied = await applyServers(files, options, caller)
  const { nodes, server } = served
  caller.onEvent({ event: 'servers', apply, nodes: nodes.length, interface: server.interface, ...applied })
  const started = apply && applied.notStarted === undefined
  if (started) await tellFirewall(served, caller)
  return { started }
}

/**
 * The same files for what is served now, if piimage has written any: after a
 * rollback or before a prune.
 */
export async function serveAgain(served: ServedCluster, site: Site, caller: Caller): Promise<void> {
  const { files, services } = await readRecord(recordPath(site.place.prefix, site.state))
  if (files.length > 0) await serve(served, { apply: services.length > 0 }, site, caller)
}
