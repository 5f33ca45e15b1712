/**
 * What an overlay can do.
 *
 * These are the edits after parameters and placeholders have been filled in;
 * src/customise/edit-kinds.ts makes them.
 */
import type { TreeMap } from '../boot/cloud-init.ts'
import type { CmdlineEdit } from '../boot/cmdline-txt.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import type { RootFile, Step } from './state.ts'

export type Edit =
  | { kind: 'system'; facts: Partial<Record<SystemFactName, unknown>> }
  | { kind: 'cmdline'; edit: CmdlineEdit }
  | { kind: 'config'; lines: ConfigTxtLine[] }
  | { kind: 'cloud-init'; tree: TreeMap }
  | { kind: 'boot-file'; path: string; content: Uint8Array }
  | { kind: 'root-file'; file: RootFile }
  | { kind: 'materials'; names: string[] }
  /** Files of the payload, by path in it. */
  | { kind: 'copies'; files: Map<string, Uint8Array> }
  | { kind: 'firstboot'; step: Step; environment: Record<string, string> }

/** Names in `system:`. */
export type SystemFactName = 'hostname' | 'user' | 'ssh' | 'network' | 'wifi' | 'locale' | 'host-keys'

/** An overlay as one node uses it: parameters completed, conditions decided, placeholders filled in. */
export interface ResolvedOverlay {
  name: string
  edits: Edit[]
  /** Trees that are merged after those of every other overlay. */
  lastTrees: TreeMap[]
  /** `PIIMAGE_<OVERLAY>_<PARAM>` of an overlay that runs steps. */
  environment: Record<string, string>
}
