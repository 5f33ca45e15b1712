/** What a use case gets besides its request: where it runs, who is told, and who is asked. */
import type { Receipt } from '../customise/receipt.ts'
import type { Drive } from '../drives/drive.ts'
import type { Task } from '../progress.ts'
import type { WorkEvent } from './events.ts'

export interface Caller {
  /** What relative paths start from. */
  cwd: string
  env: Readonly<Record<string, string | undefined>>
  platform: NodeJS.Platform
  now: () => Date
  /** Aborted to stop: what is under way is left safe, and the signal's reason is thrown. */
  signal: AbortSignal
  onEvent: (event: WorkEvent) => void
  /** Whether to go on; a use case that is told no throws a UsageError and has changed nothing. */
  confirm: (question: Question) => Promise<boolean>
}

export type Question =
  /** Everything on these is erased. */
  | { about: 'erase'; drives: string[] }
  /** One card of a batch. */
  | { about: 'card'; node: string; drive: string; found: Drive; was?: Receipt }
  /** The boot partition of a card that holds a system. */
  | { about: 'change'; path: string; node: string }
  | { about: 'replace'; files: string[] }
  /** Cards for nodes that boot from the network. */
  | { about: 'diskless'; nodes: string[] }
  /** Nodes that leave another cluster for that of their head. */
  | { about: 'leave'; nodes: string[]; head: string }
  /** The state folder of a netboot server, with every root and volume in it. */
  | { about: 'remove'; folder: string }

export const taskOf = ({ onEvent, signal }: Pick<Caller, 'onEvent' | 'signal'>): Task => ({
  report: (progress) => onEvent({ event: 'progress', ...progress }),
  signal,
})

export const note = ({ onEvent }: Pick<Caller, 'onEvent'>, message: string): void =>
  onEvent({ event: 'note', message })
