/**
 * What a family of systems knows about itself: the interface of the files in
 * this folder. Nothing outside it asks "which OS is this?".
 *
 * A family recognises its images by what lies on the boot partition (never by
 * a file's name), turns a node's state into whatever its system reads, and says
 * how a first boot is started. What it says of its images makes the difference
 * between a card and a root on a server; ./render.ts does both for all of them.
 * A new system is a new file here and a line in ./detect.ts.
 */
import type { BootFiles } from '../boot/boot-files.ts'
import type { ImagerFormat } from '../cluster/boards.ts'
import type { NodeState } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import type { ServedImage } from './root/served-image.ts'
import type { Settings } from './settings.ts'
import type { Start } from './start.ts'

/** An image and its system. */
export interface SystemImage {
  family: OsFamily
  os: DetectedOs
  /** Its boot partition as it was shipped: what an earlier plan wrote is not in it. */
  boot: BootFiles
  /** Its kernel parameters. */
  kernel: readonly string[]
  /** YYYY-MM-DD: a day that has passed for sure, whatever the node's clock says; '' when none is known. */
  pastDay: string
}

/** A card has a boot partition that the system mounts; a served root's comes over the network, as its address does. */
export type Medium = 'card' | 'net'

export interface OsFamily {
  name: string
  /** Names that `--os <family>-<release>` takes. */
  releases: readonly string[]
  /**
   * @param noted the release that an earlier plan wrote down
   * @returns what the image is, or undefined when it is none of this family
   */
  recognise(boot: BootFiles, noted: string | undefined): Promise<DetectedOs | undefined>
  /** The same when a person has said which release it is. */
  assume(boot: BootFiles, release: string): Promise<DetectedOs>
  /** The node's facts as this system reads them; overlays' own edits come after, and over, these. */
  settle(state: NodeState, image: SystemImage, medium: Medium): Promise<Settings>
  /** How its first boot is started. */
  start(os: DetectedOs, state: NodeState): Start
  /** What may still be set in an image of a published node; left out: `none`. */
  imagerFormat?(os: DetectedOs): ImagerFormat
  served: ServedImage
}
