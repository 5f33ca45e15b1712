/** What is laid out already: back to an earlier edition, old ones removed, all of it removed, or looked into. */
import { UsageError } from '../../errors.ts'
import { diffRoot, type RootChange } from '../../netroot/diff-root.ts'
import { carryOutPrune, planPrune, writePruned } from '../../netroot/prune.ts'
import { checkRemovable, removeState } from '../../netroot/remove.ts'
import { rollBack } from '../../netroot/rollback.ts'
import { at } from '../../netroot/server-root.ts'
import { readServed } from '../../netroot/state.ts'
import { type Removed, removeServers } from '../../servers/remove.ts'
import { type Caller, taskOf } from '../caller.ts'
import { serveAgain } from './serve.ts'
import { atSite, type NetrootRequest, whileLocked } from './site.ts'

/** The edition before, at the next boot. Nodes: default all that have one. */
export const rollBackNetroot = (
  request: NetrootRequest & { nodes?: readonly string[] },
  caller: Caller,
): Promise<{ nodes: string[] }> =>
  atSite(request, caller, (site) =>
    whileLocked(site, caller, async () => {
      const { served, nodes } = await rollBack(site.state, request.nodes, site.place)
      for (const step of nodes) caller.onEvent({ event: 'rolled-back', ...step })
      await serveAgain(served, site, caller)
      return { nodes: nodes.map(({ node }) => node) }
    }),
  )

export interface PruneRequest extends NetrootRequest {
  /** How many earlier editions of each node stay. Default 1. */
  keep?: number
  /** Only tell what would go. */
  dryRun?: boolean
}

export interface PrunedNetroot {
  editions: string[]
  nodes: string[]
  generations: string[]
}

/** Remove old editions, and generations that no node needs. */
export const pruneNetroot = (request: PruneRequest, caller: Caller): Promise<PrunedNetroot> => {
  const { keep = 1, dryRun = false } = request
  if (!Number.isSafeInteger(keep) || keep < 0)
    throw new UsageError(`--keep must be a whole number, not ${keep}`, {
      hint: '--keep 1 keeps the last one',
    })
  return atSite(request, caller, (site) =>
    whileLocked(site, caller, async () => {
      const plan = await planPrune(site.state, keep, site.place)
      const { editions, nodes, generations } = plan
      caller.onEvent({
        event: 'pruning',
        dryRun,
        editions: editions.map(({ node, edition }) => ({ node, edition })),
        nodes,
        generations,
      })
      if (!dryRun && editions.length + nodes.length + generations.length > 0) {
        await writePruned(plan, site.place)
        await serveAgain(plan.served, site, caller)
        await carryOutPrune(site.state, plan, site.place)
      }
      return { editions: editions.map(({ edition }) => edition), nodes, generations }
    }),
  )
}

/** Remove everything that netroot put on this machine, and nothing else. Asks first. */
export const removeNetroot = (
  request: NetrootRequest & { dryRun?: boolean },
  caller: Caller,
): Promise<{ state: string; folder: string } & Partial<Removed>> =>
  atSite(request, caller, async ({ state, place }) => {
    await checkRemovable(state, place)
    const folder = at(place, state)
    if (request.dryRun) return { state, folder, removed: [] }
    if (!(await caller.confirm({ about: 'remove', folder })))
      throw new UsageError('not confirmed, nothing was removed', { hint: '--yes answers for you' })
    const removed = await removeServers({ prefix: place.prefix, stateFolder: state }, caller)
    await removeState(state, place)
    return { state, folder, ...removed }
  })

/** What nodes have changed in their roots since they were laid out. */
export const diffNetroot = (
  request: NetrootRequest & { nodes: readonly string[] },
  caller: Caller,
): Promise<{ changes: Record<string, RootChange[]> }> =>
  atSite(request, caller, async ({ state, place }) => {
    const served = readServed(state, place)
    if (request.nodes.length === 0)
      throw new UsageError('diff of which node?', {
        hint: `Name one: ${served.nodes.map(({ name }) => name).join(', ')}`,
      })
    const changes: Record<string, RootChange[]> = {}
    for (const name of request.nodes) {
      const node = served.nodes.find((candidate) => candidate.name === name)
      if (node === undefined) throw new UsageError(`${name} is not laid out in ${state}`)
      changes[name] = await diffRoot(node, state, place, taskOf(caller))
    }
    return { changes }
  })
