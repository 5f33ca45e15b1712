/** One look at all that a server knows of its nodes. */
import { isMissing } from '../../errno.ts'
import { PiimageError, UsageError } from '../../errors.ts'
import { openInput } from '../../io/input-file.ts'
import type { ServedCluster, ServedNode } from '../../netroot/served.ts'
import { MiB } from '../../units.ts'
import { runTool } from '../wire/tools.ts'
import { type Boot, foldBoots } from './boots.ts'
import { findAnsweringSsh, listMounters } from './connections.ts'
import { parseDnsmasqLog } from './dnsmasq-log.ts'
import { type NodeState, type Seen, statesOf, type UnknownBoard, unknownBoards } from './node-state.ts'

export interface Look {
  nodes: NodeState[]
  unknown: UnknownBoard[]
}

/** Where piimage's own dnsmasq settings put what it says. */
export const SERVER_LOG = '/var/log/piimage-netroot.log'

/** @param log file with dnsmasq's words; undefined: its own file, else the journal */
export async function lookAround(
  served: ServedCluster,
  log: string | undefined,
  heard: ReadonlyMap<string, Boot>,
  now: Date,
): Promise<Look> {
  const boots = await readBoots(served.nodes, log, heard)
  const seen: Seen = {
    boots,
    mounted: await listMounters(),
    answering: await findAnsweringSsh(served.nodes.map(({ ip }) => ip)),
    now,
  }
  return { nodes: statesOf(served.nodes, seen), unknown: unknownBoards(served.nodes, boots) }
}

/**
 * Boots by MAC address.
 * @param heard boards that were heard asking for an address
 */
export async function readBoots(
  nodes: readonly ServedNode[],
  log: string | undefined,
  heard: ReadonlyMap<string, Boot>,
): Promise<Map<string, Boot>> {
  const boots = foldBoots(parseDnsmasqLog(await readLog(log)), nodes)
  for (const boot of heard.values()) {
    const told = boots.get(boot.mac)
    if (told === undefined) boots.set(boot.mac, boot)
    else Object.assign(told, { revision: boot.revision ?? told.revision, serial: boot.serial ?? told.serial })
  }
  return boots
}

/** Enough for the last boots of a large cluster. */
const JOURNAL_LINES = '20000'
const LOG_BYTES = 4 * MiB

/** What a log says last; a first line that is cut is none. */
async function readEnd(path: string): Promise<string> {
  const file = await openInput(path)
  try {
    const { size } = await file.stat()
    const bytes = Buffer.alloc(Math.min(size, LOG_BYTES))
    const { bytesRead } = await file.read(bytes, 0, bytes.length, size - bytes.length)
    return bytes.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

async function readLog(log: string | undefined): Promise<string> {
  const path = log ?? SERVER_LOG
  const text = await readEnd(path).catch((cause: NodeJS.ErrnoException) => {
    if (isMissing(cause) && log === undefined) return undefined
    if (cause instanceof PiimageError) throw cause
    throw new UsageError(`dnsmasq's log ${path} can't be read (${cause.code})`, {
      hint: 'Run it on the server, as root; --log names a log that lies elsewhere.',
      cause,
    })
  })
  if (text !== undefined) return text
  const journal = await runTool('journalctl', [
    '-u',
    'dnsmasq',
    '-n',
    JOURNAL_LINES,
    '--no-pager',
    '-q',
  ]).catch(() => undefined)
  return journal?.stdout ?? ''
}
