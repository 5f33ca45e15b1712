/**
 * `.piimage-batch.json`: which nodes of a cluster have their card already, so
 * that `flash --all` goes on after an interruption where it stopped. It stands
 * beside the cluster file and holds no secrets.
 */
import { existsSync } from 'node:fs'
import { UsageError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { readInputText } from '../io/input-file.ts'

export const JOURNAL_FILE = '.piimage-batch.json'

/** One card that was written and read back. */
export interface DoneCard {
  /** Key of the image in the lock. */
  image: string
  /** Of the unpacked image. */
  sha256: string
  /** What it got (`digestOfPlan`); journals of earlier versions don't say. */
  plan?: string
  /** What the drive was called, and its serial where it has one: of the reader, mostly. */
  drive: string
  serial?: string
  /** ISO 8601. */
  at: string
  /** When it was compared once more, after it had been out of its reader; ISO 8601. */
  compared?: string
}

export interface BatchJournal {
  readonly cluster: string
  /** By node. */
  readonly done: ReadonlyMap<string, DoneCard>
  add(node: string, card: DoneCard): Promise<void>
}

/**
 * @param cluster its name; a journal of another cluster is refused
 * @param again forget what was done, of these nodes
 * @throws {UsageError} the file is no journal of this cluster
 */
export async function openJournal(
  path: string,
  cluster: string,
  again: readonly string[] | 'all' = [],
): Promise<BatchJournal> {
  const isFresh = again === 'all' || !existsSync(path)
  const done = isFresh ? new Map<string, DoneCard>() : await readJournal(path, cluster)
  if (again !== 'all') for (const node of again) done.delete(node)
  let writing: Promise<void> = Promise.resolve()
  return {
    cluster,
    done,
    add(node, card) {
      done.set(node, card)
      const journal = { journalVersion: 1, cluster, done: Object.fromEntries(done) }
      // Two cards may be done at once: one after the other, the later one has both.
      writing = writing.then(() => writeFileAtomically(path, `${JSON.stringify(journal, null, 2)}\n`))
      return writing
    },
  }
}

async function readJournal(path: string, cluster: string): Promise<Map<string, DoneCard>> {
  const hint = 'Start a new batch with --again, or move the file away.'
  const text = readInputText(path)
  let journal: { journalVersion?: unknown; cluster?: unknown; done?: unknown }
  try {
    journal = JSON.parse(text)
  } catch (cause) {
    throw new UsageError(`${path} is not a batch journal: ${(cause as Error).message}`, { hint, cause })
  }
  if (journal?.journalVersion !== 1 || typeof journal.done !== 'object' || journal.done === null)
    throw new UsageError(`${path} is not a batch journal that this piimage knows`, { hint })
  if (journal.cluster !== cluster)
    throw new UsageError(`${path} is of the cluster "${journal.cluster}", not of "${cluster}"`, { hint })
  return new Map(Object.entries(journal.done as Record<string, DoneCard>))
}
