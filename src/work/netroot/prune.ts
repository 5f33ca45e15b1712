/** `piimage netroot prune`: old editions and generations that no node needs. */
import { UsageError } from '../../errors.ts'
import { carryOutPrune, planPrune, writePruned } from '../../netroot/prune.ts'
import { type NetrootAction, openStage, whileLocked } from './args.ts'
import { serveAgain } from './serve.ts'

export const pruneAction: NetrootAction = async (args, context) => {
  const { output } = context
  if (!Number.isSafeInteger(args.keep) || args.keep < 0)
    throw new UsageError(`--keep ${args.keep} is no number of editions`, {
      hint: '--keep 1 keeps the last one',
    })
  const { stage } = await openStage(args, context)
  return whileLocked(stage, context, async () => {
    const plan = planPrune(stage.state, args.keep, stage.place)
    const gone = [
      ...plan.editions.map(({ node, edition }) => `edition ${edition} of ${node}`),
      ...plan.nodes.map((node) => `the folder of ${node}`),
      ...plan.generations.map((id) => `generation ${id}`),
    ]
    for (const what of gone) output.print(`${args['dry-run'] ? 'would remove' : 'removes'} ${what}`)
    if (gone.length === 0) output.print('there is nothing to remove')
    if (!args['dry-run'] && gone.length > 0) {
      await writePruned(plan, stage.place)
      await serveAgain(plan.served, stage, context)
      await carryOutPrune(stage.state, plan, stage.place)
    }
    return {
      editions: plan.editions.map(({ edition }) => edition),
      nodes: plan.nodes,
      generations: plan.generations,
    }
  })
}
