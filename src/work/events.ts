/**
 * Everything a use case tells while it runs. `--json` prints these objects as
 * they are, one per line; an importing program gets them from `onEvent`.
 *
 * `node` and `plan` are said by several use cases, each with fields of its own.
 */
import type { Baked } from '../bake/bake.ts'
import type { LockedImage } from '../catalog/locked-image.ts'
import type { Receipt } from '../customise/receipt.ts'
import type { Drive } from '../drives/drive.ts'
import type { Checked } from '../fetch/cache-contents.ts'
import type { CardReport } from '../flash/card.ts'
import type { PatchReport } from '../flash/patch.ts'
import type { RolledBack } from '../netroot/rollback.ts'
import type { ServedCluster } from '../netroot/served.ts'
import type { DetectedOs } from '../node/system.ts'
import type { Progress } from '../progress.ts'
import type { CardCheck } from '../rehearsal/card/check-card.ts'
import type { NodeState, UnknownBoard } from '../rehearsal/live/node-state.ts'
import type { Rehearsed } from '../rehearsal/rehearse-node.ts'
import type { Applied } from '../servers/apply.ts'
import type { FileChange } from '../servers/diff-files.ts'
import type { PackedContent } from '../unpack/packed-file.ts'

/** An error that other nodes or cards go on without. */
export interface Failure {
  name: string
  message: string
  hint?: string
}

/** What a node's image is, against the one it is made from. */
export interface NodePlan {
  node: string
  /** Key of the image in the lock. */
  image: string
  /** Of the unpacked image. */
  sha256: string
  /** Bytes of the image, and of those the bytes that a card gets. */
  imageBytes: number
  bytesToWrite: number
  sectorsChanged: number
  os: DetectedOs
  /** Sizes, never contents: those may hold secrets. null: the file is not there. */
  files: {
    path: string
    change: 'created' | 'changed' | 'removed'
    bytesBefore: number | null
    bytesAfter: number | null
  }[]
  /** What is recognised, then a unified diff in which every secret reads `<secret>`. */
  diff: string
  warnings: string[]
}

/** What a node says of itself over ssh. */
export interface NodeStatus {
  node: string
  reached: boolean
  /** Why it was not reached. */
  problem?: string
  /** The status file of the first boot; undefined: there is none. */
  firstBoot?: { step: string; state: string; time: string; detail: string }
  /** Version of the Docker daemon. */
  docker?: string
  /** What the feature that joins says: `active`, `pending`, `joined` … */
  join?: string
  /** Why it is not in the cluster of the cluster file's head, though it is in one. */
  stray?: string
}

/** Whether a card came up as what it should be. */
export interface BootVerdict {
  node: string
  ok: boolean
  /** From power-on to the last answer. */
  seconds: number
  /** How often it started, restarts included. */
  boots: number
  checks: { what: string; ok: boolean; found: string }[]
  /** Why not, in a sentence; undefined: it did. */
  problem?: string
}

/** What is on a card or in an image file. */
export interface CardContent {
  /** Bytes of the card. */
  length: number
  partitions: {
    index: number
    offset: number
    length: number
    volume: string
    /** What is wrong with it, and keeps nobody from reading it. */
    doubts: string[]
  }[]
  /** Whether its board would start it; undefined: it is no node's, so no board is known. */
  boot?: Pick<CardCheck, 'model' | 'faults' | 'notes' | 'empty'>
  os?: { family: string; release: string; evidence: string[] }
  /** Why no system was recognised. */
  unknown?: string
  receipt?: Receipt
}

export type WorkEvent =
  | ({ event: 'progress' } & Progress)
  /** Worth knowing meanwhile. */
  | { event: 'note'; message: string }
  /** May surprise. */
  | { event: 'warning'; message: string; node?: string }
  | ({ event: 'plan' } & NodePlan)
  | CardEvent
  | BatchEvent
  | BootEvent
  | ImageEvent
  | NetrootEvent
  | ClusterEvent

export type CardEvent =
  /** `found` is the drive; undefined: an image file. `was`: what the card there says it is. */
  | { event: 'target'; node: string; drive: string; image: string; found?: Drive; was?: Receipt }
  /** `login`: `ops@pi1.local`; undefined: the cluster file names nobody. */
  | ({ event: 'flashed'; node: string; login?: string } & CardReport)
  | { event: 'failed'; node: string; drive: string; error: Failure }
  | ({ event: 'inspected'; path: string } & (CardContent | { packed: PackedContent }))
  /** With `inspect --check`: bytes that are not as planned. */
  | { event: 'difference'; offset: number; length: number }
  /** What `customise` is about to change. `was`: the node that the card says it is, of that cluster. */
  | {
      event: 'planned'
      path: string
      node: string
      was: string | null
      cluster?: string
      found?: Drive
      files: number
      sectors: number
      diff: string
    }
  | ({ event: 'customised'; path: string; node: string } & PatchReport)

export type BatchEvent =
  | { event: 'batch'; nodes: number; done: number }
  /** Nodes whose cards would get something else now: the cluster file changed since. */
  | { event: 'outdated'; nodes: string[] }
  /** A card for `node` is waited for; `left` of `nodes` have none yet. */
  | { event: 'waiting'; node: string; left: number; nodes: number }
  /** A card that is left as it is, and why. */
  | { event: 'refused'; drive: string; reason: string; hint?: string }
  /** A card that may be taken out. */
  | { event: 'done'; node: string; drive: string }

export type BootEvent =
  /** `machine`: QEMU's. */
  | { event: 'boot-start'; node: string; model: string; machine: string; why: string }
  /** `seconds` since the power came on. */
  | { event: 'boot-step'; node: string; seconds: number; step: string }
  /** With `console`: all that the serial console says. */
  | { event: 'console'; node: string; line: string }
  | ({ event: 'booted' } & BootVerdict)
  /** With `keep`: it runs on, and this opens it. */
  | { event: 'kept'; node: string; ssh: string }

export type ImageEvent =
  | ({ event: 'image'; newest: boolean; cached: 'unpacked' | 'downloaded' | null } & LockedImage)
  | { event: 'fetched'; key: string; path: string; sha256?: string; size?: number }
  | ({ event: 'checked' } & Checked)
  | ({ event: 'baked' } & ({ node: string } | { card: string; image: string }) & Baked)

export type NetrootEvent =
  | { event: 'plan'; rootMode: string; why: string; served: ServedCluster; description: string }
  | ({ event: 'server-file' } & FileChange)
  | { event: 'laid-out'; state: string; generations: string[]; nodes: string[]; rootMode: string }
  /** `apply`: they were to be started. `nodes` are served on `interface`. */
  | ({ event: 'servers'; apply: boolean; nodes: number; interface: string } & Applied)
  /** What nodes need and this server's firewall shuts out, as `udp 67`; the lines for a shell that open it. */
  | { event: 'firewall'; manager: string; shut: string[]; lines: string[] }
  | ({ event: 'rolled-back' } & RolledBack)
  /** About to be removed, or what would be. */
  | {
      event: 'pruning'
      dryRun: boolean
      editions: { node: string; edition: string }[]
      nodes: string[]
      generations: string[]
    }
  | { event: 'adopted'; node: string; mac: string; serial: string }
  | ({ event: 'node'; ok: boolean } & Rehearsed)
  | ({ event: 'node' } & NodeState)
  | ({ event: 'board' } & UnknownBoard)

export type ClusterEvent =
  | ({ event: 'node' } & NodeStatus)
  | { event: 'join'; node: string; kind: string; joined: boolean; problem: string | null }
