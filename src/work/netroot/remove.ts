/** `piimage netroot remove`: everything that netroot put on this machine, and nothing else. */
import { UsageError } from '../../errors.ts'
import { at } from '../../netroot/place.ts'
import { checkRemovable, removeState } from '../../netroot/remove.ts'
import { removeServers } from '../../servers/remove.ts'
import { type NetrootAction, openStage } from './args.ts'

export const removeAction: NetrootAction = async (args, context) => {
  const { output, world } = context
  const { stage } = await openStage(args, context)
  const { state, place } = stage
  await checkRemovable(state, place)
  const folder = at(place, state)
  if (args['dry-run']) {
    output.print(`would remove ${folder}, with every root and every volume in it, and the servers' files`)
    return { state, removed: [] }
  }
  if (!args.yes && !(await world.confirm(`Remove ${folder}, with every root and every volume in it?`)))
    throw new UsageError('not confirmed, nothing was removed', { hint: '--yes answers for you' })
  const { removed, kept, stopped } = await removeServers({ prefix: place.prefix, stateFolder: state }, world)
  for (const path of kept) output.warn(`${path} was changed by hand, so it stays`)
  await removeState(state, place)
  output.print(`removed ${[...removed, folder].join(', ')}`)
  return { state, removed, kept, stopped }
}
