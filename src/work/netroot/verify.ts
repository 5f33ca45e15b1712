/** `netroot verify`: play each node's boot against the running servers, and say what would stop it. */

import type { Model } from '../../cluster/boards.ts'
import { UsageError } from '../../errors.ts'
import { withImages } from '../../netroot/fs-image.ts'
import { imagesNow } from '../../netroot/node-exports.ts'
import type { ServedCluster } from '../../netroot/served.ts'
import { readServed } from '../../netroot/state.ts'
import { refuseFaults, rehearse } from '../../rehearsal/rehearse.ts'
import type { Caller } from '../caller.ts'
import { atSite, type NetrootRequest, type Site } from './site.ts'
import { tellFirewall } from './tell-firewall.ts'

export interface VerifyRequest extends NetrootRequest {
  /** Default: all that are laid out. */
  nodes?: readonly string[]
  /** Play another model. */
  as?: Model
}

/** @throws {NetrootError} a node would not boot; each was told as an event */
export const verifyNetroot = (request: VerifyRequest, caller: Caller): Promise<{ nodes: number }> =>
  atSite(request, caller, async (site) => {
    const served = readServed(site.state, site.place)
    if (site.place.prefix !== '' && !request.offline)
      throw new UsageError('what lies under --prefix is not what the running servers serve', {
        hint: 'Add --offline to look at the files alone.',
      })
    if (!request.offline) await tellFirewall(served, caller)
    return verifyServed(served, site, request, caller)
  })

/** The same of what is being served already. */
export async function verifyServed(
  served: ServedCluster,
  { state, place }: Site,
  request: Pick<VerifyRequest, 'nodes' | 'as' | 'offline'>,
  caller: Caller,
): Promise<{ nodes: number }> {
  const { as, offline = false } = request
  const { prefix } = place
  const only = request.nodes?.map((name) => knownNode(served, name))
  const cast =
    as === undefined ? served : { ...served, nodes: served.nodes.map((node) => ({ ...node, model: as })) }
  const images = offline ? served.nodes.flatMap(imagesNow) : []
  const results = await withImages(images, state, place, (here) =>
    rehearse(cast, {
      only,
      offline,
      disk: { prefix, here },
      signal: caller.signal,
      onNode: (played) => caller.onEvent({ event: 'node', ok: played.faults.length === 0, ...played }),
    }),
  )
  refuseFaults(results)
  return { nodes: results.length }
}

function knownNode({ nodes, stateFolder }: ServedCluster, name: string): string {
  if (nodes.some((node) => node.name === name)) return name
  throw new UsageError(`${name} is not laid out in ${stateFolder}`, {
    hint: `Laid out are: ${nodes.map((node) => node.name).join(', ')}`,
  })
}
