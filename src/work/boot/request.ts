/** What `boot` is asked for. */
import type { NodesRequest } from '../one-off.ts'

export interface BootRequest extends NodesRequest {
  /** Names of nodes, and paths of images or cards. */
  what: readonly string[]
  /** Every node that boots from a card, on one network. */
  all?: boolean
  /** The model to start it as. Default: what the cluster file or the card says. */
  as?: string
  /** Go on until the signal once it is up. */
  keep?: boolean
  /** Tell all that the serial consoles say. */
  console?: boolean
  /** Guests get further than their own network. */
  net?: boolean
  /** Minutes after which a guest counts as not up. Default: 30. */
  timeout?: number
}
