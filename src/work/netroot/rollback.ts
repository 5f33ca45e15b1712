/** `piimage netroot rollback`: the edition before, at the next boot. */
import { rollBack } from '../../netroot/rollback.ts'
import { type NetrootAction, openStage, whileLocked } from './args.ts'
import { serveAgain } from './serve.ts'

export const rollbackAction: NetrootAction = async (args, context) => {
  const { output } = context
  const { stage } = await openStage(args, context)
  return whileLocked(stage, context, async () => {
    const { served, nodes } = await rollBack(stage.state, args.node, stage.place)
    for (const step of nodes) {
      output.event('rolled-back', step)
      output.print(`${step.node}: ${step.from} → ${step.to} at its next boot`)
    }
    await serveAgain(served, stage, context)
    return { nodes: nodes.map(({ node }) => node) }
  })
}
