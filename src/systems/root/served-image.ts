import type { Identity } from './identity.ts'
import type { RootNetwork } from './network.ts'
import type { RootEdit } from './root-edit.ts'
import type { RootLook, RootSnapshot } from './root-snapshot.ts'

/** What an image of the family brings along for a card, and a root on a server must not have. */
export interface ServedImage {
  /** Files of the boot partition for the running system: the firmware reads none of them, and TFTP asks nobody who they are. */
  systemFiles: readonly string[]
  /** Its kernel parameters without those about a card. */
  kernel(tokens: readonly string[]): string[]
  /** What must be known of its root. */
  look: RootLook
  /** What changes in its root. */
  root(snapshot: RootSnapshot, identity: Identity, network: RootNetwork): RootEdit[]
}
