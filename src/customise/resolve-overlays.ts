/** All overlays of a node, resolved, in the order in which they apply. */

import type { Node, OverlayUse } from '../cluster/node.ts'
import { type Mistake, MistakesError, UsageError } from '../errors.ts'
import type { ResolvedOverlay } from '../node/edits.ts'
import type { Overlay } from './overlay.ts'
import { resolveOverlay } from './resolve-overlay.ts'
import type { Subject } from './values.ts'

/**
 * @throws {UsageError} an overlay that does not exist, lacks another, or may not stand beside another
 */
export async function resolveOverlays(
  overlays: ReadonlyMap<string, Overlay>,
  subject: Subject,
): Promise<ResolvedOverlay[]> {
  const { node } = subject
  const used = new Set(node.overlays.map(({ name }) => name))
  const resolved: ResolvedOverlay[] = []
  for (const use of node.overlays) {
    const overlay = overlays.get(use.name)
    if (overlay === undefined) {
      throw mistake(
        use,
        node,
        `there is no overlay ${use.name}`,
        `known are ${[...overlays.keys()].sort().join(', ')}`,
      )
    }
    for (const name of overlay.requires) {
      if (!used.has(name))
        throw mistake(use, node, `the overlay ${use.name} needs the overlay ${name}`, `add ${name}`)
    }
    for (const name of overlay.conflicts) {
      if (used.has(name))
        throw mistake(use, node, `the overlays ${use.name} and ${name} exclude each other`, 'take one out')
    }
    resolved.push(await resolveOverlay(overlay, use, subject))
  }
  return resolved
}

function mistake(use: OverlayUse, node: Node, message: string, hint: string): UsageError {
  if (use.place === undefined) return new UsageError(`node ${node.name}: ${message}`, { hint: `${hint}.` })
  const found: Mistake = { ...use.place, message, hint }
  return new MistakesError([found])
}
