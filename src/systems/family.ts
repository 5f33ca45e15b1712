/**
 * What a family of systems knows about itself: the interface of the files in
 * this folder. Nothing outside it asks "which OS is this?".
 *
 * A family recognises its images by what lies on the boot partition (never by
 * a file's name), says where that partition is mounted and how a first boot is
 * started there, and turns facts (host name, user, addresses) into whatever its
 * system reads. A new system is a new file here and a line in ./detect.ts.
 */

import type { BootFiles } from '../boot/boot-files.ts'
import type { Node } from '../cluster/node.ts'
import type { BootDraft } from '../customise/boot-draft.ts'
import type { SystemFacts } from '../node/edits.ts'
import type { DetectedOs } from '../node/system.ts'

export interface OsFamily {
  name: string
  /** Names that `--os <family>-<release>` takes. */
  releases: readonly string[]
  /** @returns what the image is, or undefined when it is none of this family */
  recognise(boot: BootFiles): Promise<DetectedOs | undefined>
  /** The same when a person has said which release it is. */
  assume(boot: BootFiles, release: string): Promise<DetectedOs>
  /** Turn facts into edits; overlays' own edits come after, and over, these. */
  express(facts: SystemFacts, draft: BootDraft, os: DetectedOs, node: Node): Promise<void>
  /** Write the files of the system's own that hold all that was collected (user-data). */
  finish(draft: BootDraft, os: DetectedOs, node: Node): Promise<void>
  /**
   * The last word: start the payload at the next boot.
   * @param identity changes whenever anything else that is written changes
   */
  start(draft: BootDraft, os: DetectedOs, identity: string): void
}
