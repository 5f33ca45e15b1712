import type { RootMode } from '../../cluster/root-modes.ts'
import { copyWay, reflinkWay } from './clone.ts'
import { overlayWay } from './overlay.ts'
import { sharedWay } from './shared.ts'
import type { RootWay } from './way.ts'

/** How each root mode makes a node's root. */
export const rootWays: Readonly<Record<RootMode, RootWay>> = {
  reflink: reflinkWay,
  overlay: overlayWay,
  copy: copyWay,
  shared: sharedWay,
}
