/**
 * The rehearsal of a cluster's diskless nodes: several at a time, each with a
 * place of its own on the wire.
 */
import { freemem } from 'node:os'
import { boards } from '../cluster/boards.ts'
import { NetrootError, UsageError } from '../errors.ts'
import type { ServedCluster, ServedNode } from '../netroot/served.ts'
import { MiB } from '../units.ts'
import type { Fault } from './fault.ts'
import { type Rehearsed, rehearseNode } from './rehearse-node.ts'
import { findShared } from './system/identity.ts'
import { filesUnder, type ServerFiles } from './system/root-tree.ts'
import { findAnswering, forgetNeighbours } from './wire/neighbours.ts'
import { rehearseOnWire } from './wire/stage.ts'
import { openWire } from './wire/tap.ts'
import { runTool } from './wire/tools.ts'

export interface RehearsalOptions {
  /** Names of nodes; undefined: all. */
  only?: readonly string[]
  /** Look at files only: no server is asked, no root needed. */
  offline: boolean
  /** Where the server's files lie, for looking at files only; default: at their places. */
  disk?: ServerFiles
  signal: AbortSignal
  /** Called with each node as soon as it is known. */
  onNode?: (rehearsed: Rehearsed) => void
}

/** Most of a rehearsal is waiting for answers. */
const AT_ONCE = 8
/** Each is a process with a boot tree's largest files in memory. */
const BYTES_EACH = 256 * MiB

/**
 * @returns one entry for each node, in the order of the cluster
 * @throws {UsageError} this machine can't rehearse it
 */
export async function rehearse(served: ServedCluster, options: RehearsalOptions): Promise<Rehearsed[]> {
  const { only, offline, signal, disk = filesUnder('') } = options
  const nodes = served.nodes.filter(({ name }) => only?.includes(name) ?? true)
  const addresses = nodes.map(({ ip }) => ip)
  const serverInterface = served.server.interface
  if (!offline) await checkServer(served)
  const up = offline ? new Set<string>() : await findAnswering(addresses, serverInterface)
  const shared = await findShared(served.nodes, disk)
  const results: Rehearsed[] = new Array(nodes.length)
  const waiting = nodes.entries()
  const wire = offline ? undefined : await openWire(serverInterface)
  const lane = async (slot: number) => {
    for (const [index, node] of waiting) {
      signal.throwIfAborted()
      const onWire = !offline && !up.has(node.ip) && boards[node.model].netboot !== 'usb'
      const rehearsed = onWire
        ? await rehearseOnWire({ served, node, mac: macOf(node) }, slot, signal)
        : await rehearseNode(served, node, undefined, disk)
      if (up.has(node.ip))
        rehearsed.notes.push({
          place: node.ip,
          text: 'somebody answers for this address: only its files were looked at',
        })
      else if (!offline && !onWire)
        rehearsed.notes.push({ place: node.name, text: 'it boots over USB: only its files were looked at' })
      rehearsed.faults.push(...(shared.get(node.name) ?? []))
      results[index] = rehearsed
      options.onNode?.(rehearsed)
    }
  }
  try {
    const count = Math.min(AT_ONCE, Math.max(1, Math.floor(freemem() / BYTES_EACH)))
    const lanes = Array.from({ length: count }, (_, slot) => lane(slot))
    const ended = await Promise.allSettled(lanes)
    for (const end of ended) if (end.status === 'rejected') throw end.reason
  } finally {
    await wire?.close()
    if (!offline)
      await forgetNeighbours(
        addresses.filter((address) => !up.has(address)),
        serverInterface,
      )
  }
  return results
}

/** @throws {UsageError} it isn't the machine that serves, or not as root */
async function checkServer({ server }: ServedCluster): Promise<void> {
  const elsewhere =
    'Run it on the server, as root; --offline looks at the files alone, on any machine that has them.'
  if (process.getuid?.() !== 0)
    throw new UsageError('only root may put a rehearsed node on the wire', { hint: elsewhere })
  const { status, stdout: addresses } = await runTool('ip', [
    '-4',
    '-o',
    'address',
    'show',
    'dev',
    server.interface,
  ])
  if (status !== 0)
    throw new UsageError(`this machine has no interface ${server.interface}, which faces the cluster`, {
      hint: elsewhere,
    })
  if (!addresses.includes(` ${server.ip}/${server.prefix} `))
    throw new NetrootError(
      `${server.interface} does not have the address ${server.ip}/${server.prefix}, at which nodes look for their server`,
      {
        hint: `It has ${/inet (\S+)/.exec(addresses)?.[1] ?? 'none'}. Correct the server’s network, then run this again.`,
      },
    )
}

/** Where it isn't known: a Pi 3's follows from its serial number, another is made up. */
function macOf({ mac, serial, model, ip }: ServedNode): string {
  if (mac !== undefined) return mac
  const fromSerial = boards[model].loader === 'bootcode' && serial !== undefined
  const end = fromSerial ? serial.slice(-6) : Number(ip.split('.')[3]).toString(16).padStart(6, '0')
  return [fromSerial ? 'b8:27:eb' : '02:70:69', ...(end.match(/../g) ?? [])].join(':')
}

/** @throws {NetrootError} there are faults */
export function refuseFaults(results: readonly { node: string; faults: readonly Fault[] }[]): void {
  const failed = results.filter(({ faults }) => faults.length > 0)
  if (failed.length === 0) return
  const count = failed.reduce((sum, { faults }) => sum + faults.length, 0)
  throw new NetrootError(
    `${failed.length} of ${results.length} nodes would not boot as they should: ${failed.map(({ node }) => node).join(', ')} (${count} ${count === 1 ? 'fault' : 'faults'})`,
    { hint: 'Mend what is listed, then run piimage netroot verify again.' },
  )
}
