/**
 * What an overlay can do, and the facts about a node that each system says in
 * its own way.
 *
 * These are the edits after parameters and placeholders have been filled in;
 * src/customise/edit-kinds.ts makes them.
 */

import type { TreeMap } from '../boot/cloud-init.ts'
import type { CmdlineEdit } from '../boot/cmdline-txt.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import type { Locale, NodeInterface, User, Wifi } from '../cluster/node.ts'
import type { HostKey } from '../secrets/node-keys.ts'

/** Facts that overlays ask for; what is undefined was not asked for and stays as the image has it. */
export interface SystemFacts {
  hostname?: string
  user?: User
  /** ssh is switched on; `passwordLogin` undefined: only where the user has no key. */
  ssh?: { passwordLogin?: boolean }
  network?: NodeInterface[]
  wifi?: Wifi
  locale?: Locale
  hostKey?: HostKey
}

export type Phase = 'early' | 'network'

export interface Step {
  /** What follows the number in the file's name: `docker` in `50-docker.sh`. */
  name: string
  /** `early`: by install.sh, without network. `network`: by the first-boot unit, with network. */
  phase: Phase
  /** 0–99. */
  order: number
  /** The script's bytes. */
  script: Uint8Array
}

/**
 * A file for the root file system, carried on the boot partition until first
 * boot. `secret` is a path below piimage/secrets/ that holds the content.
 */
export type RootFile = RootFilePlace & ({ content: Uint8Array } | { secret: string })

interface RootFilePlace {
  /** Absolute. */
  path: string
  /** Octal digits. */
  mode: string
  owner: string
  group: string
}

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
