/** `netroot status`: how far each diskless node is, and which boards nobody knows. */
import { setTimeout as sleep } from 'node:timers/promises'
import { UsageError } from '../../errors.ts'
import { readServed } from '../../netroot/state.ts'
import { listenForBoards } from '../../rehearsal/live/listen.ts'
import { type Look, lookAround } from '../../rehearsal/live/look.ts'
import type { NodeState, UnknownBoard } from '../../rehearsal/live/node-state.ts'
import type { Caller } from '../caller.ts'
import { atSite, type NetrootRequest } from './site.ts'

export interface NetrootStatusRequest extends NetrootRequest {
  /** Default: all that are laid out. */
  nodes?: readonly string[]
  /** What dnsmasq wrote. Default: where piimage tells it to. */
  log?: string
  /** Look again and again, until the signal is aborted. */
  watch?: boolean
}

const AGAIN_MS = 2000

/**
 * Every node and unknown board is told as an event, later only where it changed.
 * @param onFirst called once the first look at all of them was told
 * @returns the last look
 */
export const netrootStatus = (
  request: NetrootStatusRequest,
  caller: Caller,
  onFirst: (look: Look) => void = () => {},
): Promise<Look> =>
  atSite(request, caller, async ({ state, place }) => {
    const { nodes: names, log, watch = false } = request
    const { signal } = caller
    const all = readServed(state, place)
    const served = { ...all, nodes: all.nodes.filter(({ name }) => names?.includes(name) ?? true) }
    const listener = await listenForBoards()
    const look = async (): Promise<Look> => {
      const found = await lookAround(served, log, listener.heard, caller.now()).catch(refuseLog)
      const others = all.nodes.filter((node) => !served.nodes.includes(node))
      return {
        ...found,
        unknown: found.unknown.filter(({ mac }) => !others.some((node) => node.mac === mac)),
      }
    }
    try {
      let last = await look()
      tell({ nodes: [], unknown: [] }, last, caller)
      onFirst(last)
      while (watch && !signal.aborted) {
        await sleep(AGAIN_MS, undefined, { signal }).catch(() => {})
        if (signal.aborted) break
        const next = await look()
        tell(last, next, caller)
        last = next
      }
      return last
    } finally {
      listener.close()
    }
  })

function tell(last: Pick<Look, 'nodes' | 'unknown'>, next: Look, { onEvent }: Caller): void {
  const same = (a: NodeState, b: NodeState) => a.stage === b.stage && a.detail === b.detail
  const alike = (a: UnknownBoard, b: UnknownBoard) => a.mac === b.mac && a.serial === b.serial
  for (const state of next.nodes)
    if (!last.nodes.some((other) => other.node === state.node && same(other, state)))
      onEvent({ event: 'node', ...state })
  for (const board of next.unknown)
    if (!last.unknown.some((other) => alike(other, board))) onEvent({ event: 'board', ...board })
}

function refuseLog(error: NodeJS.ErrnoException): never {
  if (error.code === undefined || error.path === undefined) throw error
  throw new UsageError(`dnsmasq's log can't be read: ${error.message}`, {
    hint: 'Run it as root on the server, or name the file: --log FILE.',
    cause: error,
  })
}
