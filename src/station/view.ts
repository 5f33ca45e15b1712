/**
 * What the page is told: the whole table whenever it changes, so that every
 * browser shows the same. What happens meanwhile comes as the objects that
 * `--json` prints (../work/events.ts), those of a card with its slot.
 */
import type { Progress } from '../progress.ts'
import type { Failure } from '../work/events.ts'

/** A node as the cluster file has it. */
export interface NodeView {
  name: string
  board: string
  image: string
  /** Bytes of the unpacked image; null: not known yet. */
  imageBytes: number | null
  address: string | null
  /** `ops@192.168.2.10`; null: the cluster file names nobody. */
  login: string | null
  role: 'head' | 'worker'
  boot: 'card' | 'net'
  overlays: string[]
  /** What the batch's journal has; null: no card yet. */
  done: DoneView | null
}

export interface DoneView {
  /** ISO 8601. */
  at: string
  /** What the drive was called. */
  drive: string
  serial: string | null
  /** When the card was compared once more, after it had been out; null: not yet. */
  compared: string | null
  /** The cluster file, an overlay or the key changed since. */
  outdated: boolean
  /** sha256 of what the card got; null: an earlier piimage made it. */
  plan: string | null
}

export interface MistakeView {
  file: string
  line: number
  column: number
  message: string
  hint: string | null
}

export interface ClusterView {
  file: string
  /** null: the file can't be read as one. */
  name: string | null
  nodes: NodeView[]
  /** Of the file as it is now. Where there are any, no card is begun. */
  mistakes: MistakeView[]
  /** What else is wrong, such as no file at all. */
  problem: Failure | null
  /** There is none yet, and the page asks what `init` asks. */
  canInit: boolean
}

/** What a card is, as it lies in its slot. */
export interface CardView {
  /** This very medium: what a person confirms. */
  medium: string
  path: string
  size: number
  model: string | null
  serial: string | null
  bus: string
  /** What lies on it: `bootfs`, `FAMILYPHOTOS (btrfs)`. */
  holds: string[]
  /** What piimage wrote on it. */
  receipt: { cluster: string; node: string; image: string | null; os: string } | null
  /** Why it must not be written, whoever asks. */
  refusal: { message: string; hint: string | null } | null
  /** Why a person must name this very drive, and by what: its serial, or model and size. */
  unproven: { message: string; proof: string } | null
  /** Where it is mounted: it has to be unmounted before it is written. */
  mounts: string[]
  /** Holds what piimage did not write and somebody may miss: no batch takes it by itself. */
  foreign: boolean
}

export interface SlotView {
  /** The reader as it was named, or the drive's path. */
  slot: string
  /** null: nothing is in it. */
  card: CardView | null
  work: WorkView | null
  /** What became of the card that is in, or that was taken out last. */
  result: ResultView | null
}

export interface WorkView {
  kind: 'write' | 'compare'
  node: string
  progress: Progress | null
}

export type ResultView =
  | { kind: 'written'; node: string; bytes: number; seconds: number; at: string }
  /** Put back in, and still what was written. */
  | { kind: 'compared'; node: string; at: string }
  | { kind: 'failed'; node: string; during: 'write' | 'compare'; error: Failure; at: string }
  /** Left as it is, and why. */
  | { kind: 'left'; reason: string; hint: string | null }

export interface TableView {
  cluster: ClusterView
  /** Without it most drives refuse to be written. */
  isRoot: boolean
  slots: SlotView[]
  /** Every card that is put in becomes the next node that waits. */
  armed: boolean
  /** What all cards wait for, by image: downloading, unpacking. */
  images: Progress[]
}
