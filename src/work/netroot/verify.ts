/**
 * `piimage netroot verify`: play each node's boot against the running servers,
 * and say what would stop it.
 */
import { UsageError } from '../../errors.ts'
import type { ServedCluster } from '../../netroot/served.ts'
import { readServed } from '../../netroot/state.ts'
import { refuseFaults, rehearse } from '../../rehearsal/rehearse.ts'
import type { Rehearsed } from '../../rehearsal/rehearse-node.ts'
import type { Output } from '../../report/output.ts'
import { formatBytes } from '../../units.ts'
import { type NetrootAction, openStage } from './args.ts'

export const verifyAction: NetrootAction = async (args, context) => {
  const { output, world } = context
  const { stage } = await openStage(args, context)
  const served = readServed(stage.state, stage.place)
  const { prefix } = stage.place
  if (prefix !== '' && !args.offline)
    throw new UsageError('what lies under --prefix is not what the running servers serve', {
      hint: 'Add --offline to look at the files alone.',
    })
  const only = args.node?.map((name) => knownNode(served, name))
  const { as } = args
  const cast =
    as === undefined ? served : { ...served, nodes: served.nodes.map((node) => ({ ...node, model: as })) }
  const results = await rehearse(cast, {
    only,
    offline: args.offline,
    prefix,
    signal: world.signal,
    onNode: (rehearsed) => tell(rehearsed, output),
  })
  refuseFaults(results)
  return { nodes: results.length, faults: 0 }
}

function knownNode({ nodes, stateFolder }: ServedCluster, name: string): string {
  if (nodes.some((node) => node.name === name)) return name
  throw new UsageError(`${name} is not laid out in ${stateFolder}`, {
    hint: `Laid out are: ${nodes.map((node) => node.name).join(', ')}`,
  })
}

function tell(rehearsed: Rehearsed, output: Output): void {
  const { node, model, requests, bytes, faults, notes } = rehearsed
  output.event('node', { ok: faults.length === 0, ...rehearsed })
  const verdict = faults.length === 0 ? 'ok' : `${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}`
  output.print(`${node} ${model} ${verdict}, ${requests} requests, ${formatBytes(bytes)}`)
  for (const { step, place, problem, mend } of faults) {
    output.print(`  ${step}: ${place}: ${problem}`)
    output.print(`    ${mend}`)
  }
  for (const { place, text } of notes) output.print(`  note: ${place}: ${text}`)
}
