/** `piimage netroot status`: how far each diskless node is, and which boards nobody knows; `--watch` goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { UsageError } from '../../errors.ts'
import { readServed } from '../../netroot/state.ts'
import { listenForBoards } from '../../rehearsal/live/listen.ts'
import { type Look, lookAround } from '../../rehearsal/live/look.ts'
import { describeBoard, type NodeState, type UnknownBoard } from '../../rehearsal/live/node-state.ts'
import type { Output } from '../../report/output.ts'
import { formatTable } from '../../report/table.ts'
import { quoteLine } from '../../terminal-text.ts'
import { type NetrootAction, openStage } from './args.ts'

const AGAIN_MS = 2000

export const statusAction: NetrootAction = async (args, context) => {
  const { output, world } = context
  const { stage } = await openStage(args, context)
  const all = readServed(stage.state, stage.place)
  const served = { ...all, nodes: all.nodes.filter(({ name }) => args.node?.includes(name) ?? true) }
  const listener = await listenForBoards()
  const look = async () => {
    const found = await lookAround(served, args.log, listener.heard, world.now()).catch(refuseLog)
    const others = all.nodes.filter((node) => !served.nodes.includes(node))
    return { ...found, unknown: found.unknown.filter(({ mac }) => !others.some((node) => node.mac === mac)) }
  }
  try {
    let last = await look()
    for (const state of last.nodes) output.event('node', state)
    for (const board of last.unknown) output.event('board', board)
    output.printText(describeLook(last))
    while (args.watch && !world.signal.aborted) {
      await sleep(AGAIN_MS, undefined, { signal: world.signal }).catch(() => {})
      if (world.signal.aborted) break
      const next = await look()
      tellChanges(last, next, output, world.now())
      last = next
    }
    return {
      up: last.nodes.filter(({ stage }) => stage === 'up').length,
      nodes: last.nodes.length,
      unknown: last.unknown.length,
    }
  } finally {
    listener.close()
  }
}

function refuseLog(error: NodeJS.ErrnoException): never {
  if (error.code === undefined || error.path === undefined) throw error
  throw new UsageError(`dnsmasq's log can't be read: ${error.message}`, {
    hint: 'Run it as root on the server, or name the file: --log FILE.',
    cause: error,
  })
}

function describeLook({ nodes, unknown }: Look): string {
  const table = formatTable(
    ['NODE', 'STAGE', ''],
    nodes.map(({ node, stage, detail }) => [node, stage, detail ?? '']),
  )
  return [table, ...unknown.map(describeUnknown)].join('\n')
}

const describeUnknown = (board: UnknownBoard): string =>
  `not in the cluster file: ${quoteLine(describeBoard(board))}\n  piimage netroot adopt ${board.serial ?? board.mac} NODE`

function tellChanges(last: Look, next: Look, output: Output, now: Date): void {
  const same = (a: NodeState, b: NodeState) => a.stage === b.stage && a.detail === b.detail
  const time = now.toTimeString().slice(0, 8)
  for (const state of next.nodes) {
    if (last.nodes.some((other) => other.node === state.node && same(other, state))) continue
    output.event('node', state)
    output.print(
      `${time} ${state.node} ${state.stage}${state.detail === undefined ? '' : `: ${state.detail}`}`,
    )
  }
  for (const board of next.unknown) {
    if (last.unknown.some((other) => other.mac === board.mac && other.serial === board.serial)) continue
    output.event('board', board)
    output.printText(`${time} ${describeUnknown(board)}`)
  }
}
