/** `plan`: what `flash` and `bake` would change, node by node. */
import { describeMistake, type Mistake } from '../errors.ts'
import { refuseUnbootable } from './boot-check.ts'
import type { Caller } from './caller.ts'
import { openBases } from './image-pipeline.ts'
import { buildNodeImage, describePlan } from './node-image.ts'
import { type NodesRequest, openNodes } from './one-off.ts'
import { chooseNodes } from './project.ts'

export interface PlanRequest extends NodesRequest {
  /** Default: all. */
  nodes?: readonly string[]
}

/** Tells each plan as an event: those of a large cluster need not be in memory together. */
export async function plan(request: PlanRequest, caller: Caller): Promise<{ nodes: string[] }> {
  const project = await openNodes(request, caller)
  const nodes = chooseNodes(project.cluster, request.nodes)
  warnOfCluster(project.cluster.warnings, caller)
  const bases = await openBases(request, caller)
  try {
    for (const node of nodes) {
      const base = await bases.open(project.imageOf(node))
      const image = await buildNodeImage(project, node, base)
      caller.onEvent({ event: 'plan', ...describePlan(image) })
      await refuseUnbootable(image, request, caller)
    }
    return { nodes: nodes.map(({ name }) => name) }
  } finally {
    await bases.close()
  }
}

/** A large cluster may have one for each node. */
const MOST_WARNINGS = 10

/** What is odd in the cluster file, and may be meant. */
function warnOfCluster(warnings: readonly Mistake[], { onEvent }: Caller): void {
  for (const warning of warnings.slice(0, MOST_WARNINGS))
    onEvent({ event: 'warning', message: describeMistake(warning) })
  const more = warnings.length - MOST_WARNINGS
  if (more > 0) onEvent({ event: 'warning', message: `and ${more} more of the kind in the cluster file` })
}
