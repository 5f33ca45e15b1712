/** What is laid out → the servers' files, shown, written, or written and started. */

import type { Context } from '../../commands/command.ts'
import type { ServedCluster } from '../../netroot/served.ts'
import { applyServers } from '../../servers/apply.ts'
import { diffServers } from '../../servers/diff-files.ts'
import { formatFirewallHints } from '../../servers/firewall.ts'
import { checkServable } from '../../servers/obstacles.ts'
import { readMachine } from '../../servers/read-machine.ts'
import { readRecord, recordPath } from '../../servers/record.ts'
import { renderServers } from '../../servers/render.ts'
import type { ServerFile } from '../../servers/server-file.ts'
import type { NetrootArgs, Stage } from './args.ts'

/** Before anything is made. @throws {NetrootError} this machine can't serve, if it is to start now */
export async function checkServers(served: ServedCluster, args: NetrootArgs, stage: Stage): Promise<void> {
  const machine = await readMachine(onServer(stage))
  renderServers(served, machine)
  if (args.apply) checkServable(served, machine)
}

const onServer = ({ place, state }: Stage) => ({ prefix: place.prefix, stateFolder: state })

async function render(served: ServedCluster, stage: Stage): Promise<ServerFile[]> {
  return renderServers(served, await readMachine(onServer(stage)))
}

/** Every file as a diff against what is there. */
export async function showServers(served: ServedCluster, stage: Stage, { output }: Context): Promise<void> {
  const changes = await diffServers(await render(served, stage), onServer(stage))
  for (const { path, kind, diff } of changes) {
    output.event('server-file', { path, kind })
    output.printText(kind === 'same' ? `= ${path}` : diff.trimEnd())
  }
  output.noteText(`What a firewall must let through:\n${formatFirewallHints(served)}`)
}

/** @throws {NetrootError} a server refuses its file or doesn't start; then all files are as they were */
export async function serve(
  served: ServedCluster,
  { apply, install }: Pick<NetrootArgs, 'apply' | 'install'>,
  stage: Stage,
  { world, output }: Context,
): Promise<void> {
  const options = { ...onServer(stage), start: apply, install }
  const applied = await applyServers(await render(served, stage), options, world)
  output.event('servers', applied)
  for (const path of applied.written) output.note(`wrote ${path}`)
  for (const path of applied.taken) output.note(`removed ${path}`)
  for (const path of applied.kept) output.warn(`${path} was changed by hand, so it stays`)
  for (const { checker, skipped } of applied.checks)
    if (skipped !== undefined) output.warn(`not checked by ${checker}: ${skipped}`)
  if (applied.notStarted !== undefined) output.warn(`nothing was started: ${applied.notStarted}`)
  else if (apply) output.print(`serving ${served.nodes.length} nodes on ${served.server.interface}`)
  else output.note('Nothing was started: --apply starts the servers')
}

/**
 * The same files for what is served now, if piimage has written any: after a
 * rollback or before a prune.
 */
export async function serveAgain(served: ServedCluster, stage: Stage, context: Context): Promise<void> {
  const { files, services } = await readRecord(recordPath(stage.place.prefix, stage.state))
  if (files.length > 0) await serve(served, { apply: services.length > 0, install: false }, stage, context)
}
