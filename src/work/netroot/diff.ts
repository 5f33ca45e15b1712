/** `piimage netroot diff NODE`: what the node has changed in its root since it was laid out. */
import { UsageError } from '../../errors.ts'
import { diffRoot } from '../../netroot/diff-root.ts'
import { readServed } from '../../netroot/state.ts'
import { type NetrootAction, openStage } from './args.ts'

export const diffAction: NetrootAction = async (args, context) => {
  const { output, world } = context
  const { stage } = await openStage(args, context)
  const names = [...args.more, ...(args.node ?? [])]
  const served = readServed(stage.state, stage.place)
  if (names.length === 0)
    throw new UsageError('diff of which node?', {
      hint: `Name one: ${served.nodes.map(({ name }) => name).join(', ')}`,
    })
  const changes: Record<string, object[]> = {}
  for (const name of names) {
    const node = served.nodes.find((candidate) => candidate.name === name)
    if (node === undefined) throw new UsageError(`${name} is not laid out in ${stage.state}`)
    const found = await diffRoot(node, stage.state, stage.place, {
      report: output.progress,
      signal: world.signal,
    })
    changes[name] = found
    for (const { kind, path } of found)
      output.print(`${name} ${{ new: '+', changed: '~', gone: '-' }[kind]} ${path}`)
    if (found.length === 0) output.print(`${name}: its root is its generation's`)
  }
  return { changes }
}
