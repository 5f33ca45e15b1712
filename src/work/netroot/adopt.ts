/**
 * `netroot adopt`: write a board's serial number and MAC address into the
 * cluster file. The board is looked up among those that the server heard; its
 * words are trusted for the addresses, not for the choice.
 */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { boards } from '../../cluster/boards.ts'
import { readClusterFile, readClusterText } from '../../cluster/cluster-file.ts'
import { UsageError } from '../../errors.ts'
import { writeFileAtomically } from '../../io/atomic-file.ts'
import { adoptInto } from '../../rehearsal/adopt.ts'
import { listenForBoards } from '../../rehearsal/live/listen.ts'
import { readBoots } from '../../rehearsal/live/look.ts'
import { describeBoard, type UnknownBoard, unknownBoards } from '../../rehearsal/live/node-state.ts'
import { type Caller, note } from '../caller.ts'
import { clusterOptions, findNode, findOverlays, openProject, readLocks } from '../project.ts'
import { type ClusterRequest, clusterFolder, clusterPath } from '../request.ts'

export interface AdoptRequest extends ClusterRequest {
  /** Serial number or MAC address of the board. */
  board: string
  node: string
  /** Its MAC address; without it the board must be heard. */
  mac?: string
  /** What dnsmasq wrote. Default: where piimage tells it to. */
  log?: string
}

export interface Adopted {
  node: string
  mac: string
  serial: string
}

/** A board without an address asks again after this long at most. */
const LISTEN_MS = 8000

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/
const SERIAL = /^[0-9a-f]{8}([0-9a-f]{8})?$/

/**
 * @throws {UsageError} no such board was heard, or it has not said its serial number
 * @throws {MistakesError} the cluster file would be wrong with it; it is as it was
 */
export async function adopt(request: AdoptRequest, caller: Caller): Promise<Adopted> {
  const [board = '', name = '', mac] = [request.board, request.node, request.mac].map((word) =>
    word?.toLowerCase(),
  )
  if (name === '' || !(MAC.test(board) || SERIAL.test(board)) || !(mac === undefined || MAC.test(mac)))
    throw new UsageError('adopt which board as which node?', {
      hint: 'piimage netroot adopt SERIAL NODE [MAC]; piimage netroot status lists boards that asked for an address.',
    })
  const { cluster } = await openProject(request, caller)
  const node = findNode(cluster, name)
  const found =
    mac !== undefined ? { mac, serial: board.slice(-8) } : await findBoard(board, request.log, caller)
  const { serial } = found
  if (serial === undefined)
    throw new UsageError(`${describeBoard(found)}: it has not said its serial number`, {
      hint: `It is printed by the board’s own diagnostics screen, and in /proc/cpuinfo. Then: piimage netroot adopt SERIAL ${name} ${found.mac}`,
    })
  if ('model' in found && found.model !== undefined && found.model !== node.model)
    caller.onEvent({
      event: 'warning',
      message: `the board is a ${boards[found.model].title}, and ${name} is a ${boards[node.model].title} in the cluster file`,
    })
  const adopted = { node: name, mac: found.mac, serial }
  await writeIntoFile(adopted, request, caller)
  caller.onEvent({ event: 'adopted', ...adopted })
  return adopted
}

/** The whole file must still be right with it: no other node may have these addresses. */
async function writeIntoFile(
  { node, mac, serial }: Adopted,
  request: ClusterRequest,
  caller: Caller,
): Promise<void> {
  const shownAs = clusterPath(request)
  const file = resolve(caller.cwd, shownAs)
  const text = await adoptInto(readClusterFile(file, shownAs), shownAs, node, { mac, serial })
  const overlays = await findOverlays(clusterFolder(request, caller))
  await readClusterText(text, shownAs, clusterOptions(await readLocks(request, caller), overlays, caller))
  await writeFileAtomically(file, text, (await stat(file)).mode % 0o1000)
}

/** By serial number or MAC address, among those heard already, then among those that ask now. */
async function findBoard(wanted: string, log: string | undefined, caller: Caller): Promise<UnknownBoard> {
  const { signal } = caller
  const listener = await listenForBoards()
  const isWanted = ({ mac, serial }: UnknownBoard) => mac === wanted || serial === wanted.slice(-8)
  try {
    for (let waited = 0; ; waited += 500) {
      const found = unknownBoards([], await readBoots([], log, listener.heard)).find(isWanted)
      if (found !== undefined) return found
      if (waited === 0) note(caller, 'waiting for the board to ask for an address')
      if (waited >= LISTEN_MS) break
      await sleep(500, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  } finally {
    listener.close()
  }
  const derived = MAC.test(wanted) ? '' : ', or say its MAC address too'
  throw new UsageError(`no board ${wanted} was heard`, {
    hint: `Switch it on while this runs on the server${derived}: piimage netroot adopt SERIAL NODE MAC.`,
  })
}
