/** What is laid out → the servers' files, shown, written, or written and started. */
import type { ServedCluster } from '../../netroot/served.ts'
import { applyServers } from '../../servers/apply.ts'
import { diffServers } from '../../servers/diff-files.ts'
import { checkServable } from '../../servers/obstacles.ts'
import { readMachine } from '../../servers/read-machine.ts'
import { readRecord, recordPath } from '../../servers/record.ts'
import { renderServers } from '../../servers/render.ts'
import type { ServerFile } from '../../servers/server-file.ts'
import type { Caller } from '../caller.ts'
import type { Site } from './site.ts'

export interface ServeOptions {
  /** Check and start the servers too. */
  apply?: boolean
  /** With `apply`: install their packages. */
  install?: boolean
}

/** Before anything is made. @throws {NetrootError} this machine can't serve, if it is to start now */
export async function checkServers(
  served: ServedCluster,
  { apply }: ServeOptions,
  site: Site,
): Promise<void> {
  const machine = await readMachine(onServer(site))
  renderServers(served, machine)
  if (apply) checkServable(served, machine)
}

const onServer = ({ place, state }: Site) => ({ prefix: place.prefix, stateFolder: state })

async function render(served: ServedCluster, site: Site): Promise<ServerFile[]> {
  return renderServers(served, await readMachine(onServer(site)))
}

/** Tell every file as a diff against what is there. */
export async function tellServerFiles(served: ServedCluster, site: Site, { onEvent }: Caller): Promise<void> {
  const changes = await diffServers(await render(served, site), onServer(site))
  for (const change of changes) onEvent({ event: 'server-file', ...change })
}

/** @throws {NetrootError} a server refuses its file or doesn't start; then all files are as they were */
export async function serve(
  served: ServedCluster,
  { apply = false, install = false }: ServeOptions,
  site: Site,
  caller: Caller,
): Promise<void> {
  const options = { ...onServer(site), start: apply, install }
  const applied = await applyServers(await render(served, site), options, caller)
  const { nodes, server } = served
  caller.onEvent({ event: 'servers', apply, nodes: nodes.length, interface: server.interface, ...applied })
}

/**
 * The same files for what is served now, if piimage has written any: after a
 * rollback or before a prune.
 */
export async function serveAgain(served: ServedCluster, site: Site, caller: Caller): Promise<void> {
  const { files, services } = await readRecord(recordPath(site.place.prefix, site.state))
  if (files.length > 0) await serve(served, { apply: services.length > 0 }, site, caller)
}
