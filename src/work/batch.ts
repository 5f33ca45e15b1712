/**
 * `flash --all`: card after card, in as many readers as there are, until every
 * node has one. A card is known again by the receipt on it: one that was
 * written in this batch is refused, one of a node that still waits is given to
 * that node. What is done stands in the journal, so an interrupted batch goes on.
 */
import { join } from 'node:path'
import type { Node } from '../cluster/node.ts'
import { DriveError, InterruptedError, type PiimageError, UsageError } from '../errors.ts'
import { type BatchJournal, JOURNAL_FILE, openJournal } from './batch-journal.ts'
import type { Caller } from './caller.ts'
import { readReceipt, requireNamed } from './card-content.ts'
import { CardSlots, type InsertedCard } from './card-slots.ts'
import { lockFileOrRefuse } from './file-lock.ts'
import { checkOptions, isImagePath } from './flash.ts'
import {
  type CardOptions,
  type Flashed,
  type FlashJob,
  flashCard,
  type Outcome,
  summarise,
} from './flash-card.ts'
import { openBases } from './image-pipeline.ts'
import { digestOfPlan, planNodeChanges } from './node-image.ts'
import { findNode, openProject, warnOfKeyInGit } from './project.ts'
import { type ClusterRequest, clusterFolder } from './request.ts'

export interface BatchRequest extends ClusterRequest, CardOptions {
  /** Default: every node that boots from a card. */
  nodes?: readonly string[]
  /** Readers as the person named them; none: any card that is put in. */
  drives?: readonly string[]
  /** Start over with them, whatever the journal says. */
  again?: boolean
  /** Somebody is there to put in another card for one that failed. Default false. */
  attended?: boolean
}

/** Readers that memory is kept for, where none are named. */
export const MOST_READERS = 8

/**
 * @throws {UsageError} another batch of this cluster is under way
 * @throws {PartialError} cards failed, and nobody is there to put in others
 * @throws {InterruptedError} stopped; the journal says what is done
 */
export async function flashBatch(request: BatchRequest, caller: Caller): Promise<Flashed> {
  const { drives = [] } = request
  const file = drives.find(isImagePath)
  if (file !== undefined)
    throw new UsageError(`--all is for cards; ${file} is a file`, { hint: 'piimage bake --all makes files.' })
  checkOptions(request, drives)
  const project = await openProject(request, caller)
  warnOfKeyInGit(project.cluster, caller)
  await project.keys()
  const nodes =
    request.nodes?.map((name) => findNode(project.cluster, name)) ??
    project.cluster.nodes.filter(({ boot }) => boot === 'card')
  const path = join(clusterFolder(request, caller), JOURNAL_FILE)
  const lock = await lockFileOrRefuse(path, `writes the cards of ${project.cluster.name}`, caller.signal)
  try {
    const journal = await openJournal(
      path,
      project.cluster.name,
      request.again ? (request.nodes ?? 'all') : [],
    )
    const bases = await openBases(request, caller)
    try {
      const job = { project, bases, request, caller, cards: drives.length || MOST_READERS }
      return await new Batch({ ...request, drives, nodes }, job, journal).run()
    } finally {
      await bases.close()
    }
  } finally {
    lock.release()
  }
}

/** How cards that are done already are made anew. */
export const againWith = (nodes: readonly string[]): string =>
  `To make ${nodes.length === 1 ? 'it' : 'them'} anew: piimage flash --all --again ${nodes.map((node) => `--node ${node}`).join(' ')}`

class Batch {
  readonly #job: FlashJob
  readonly #journal: BatchJournal
  readonly #isAttended: boolean
  readonly #slots: CardSlots
  readonly #nodes: readonly Node[]
  /** How many were named; 0: any will do. */
  readonly #readers: number
  /** Nodes that still need a card, the next one first. */
  readonly #waiting: Node[]
  readonly #busy = new Map<string, Promise<void>>()
  readonly #outcomes: Outcome[] = []
  /** Something other than a card went wrong. */
  #failure: { error: unknown } | undefined
  /** Done, from an older cluster file. */
  readonly #outdated: string[] = []
  #awaited = ''

  constructor(
    {
      nodes,
      drives,
      attended = false,
    }: Omit<BatchRequest, 'nodes'> & { nodes: readonly Node[]; drives: readonly string[] },
    job: FlashJob,
    journal: BatchJournal,
  ) {
    this.#job = job
    this.#journal = journal
    this.#isAttended = attended
    this.#nodes = nodes
    this.#readers = drives.length
    this.#waiting = nodes.filter((node) => !this.#isDone(node))
    const onRefused = (slot: string, error: PiimageError) => this.#refuse(slot, error.message, error.hint)
    this.#slots = new CardSlots({ named: drives, onRefused }, job.request, job.caller)
  }

  async run(): Promise<Flashed> {
    const done = this.#nodes.length - this.#waiting.length
    this.#job.caller.onEvent({ event: 'batch', nodes: this.#nodes.length, done })
    await this.#findOutdated()
    try {
      while (this.#failure === undefined && (this.#waiting.length > 0 || this.#busy.size > 0)) {
        for (const card of await this.#slots.look()) await this.#take(card)
        if (this.#waiting.length === 0) await this.#oneIsWritten()
        else if (this.#failure === undefined) {
          this.#await()
          await this.#slots.wait()
        }
      }
    } catch (error) {
      this.#failure ??= { error }
    }
    // Cards that are being written end by themselves: done, or made safe.
    await Promise.all(this.#busy.values())
    if (this.#failure !== undefined) throw this.#explain(this.#failure.error)
    return summarise(this.#outcomes)
  }

  /** The last one may have ended while the readers were looked at: nothing is left to wait for then. */
  async #oneIsWritten(): Promise<void> {
    if (this.#busy.size > 0) await Promise.race(this.#busy.values())
  }

  /** Cards that would get something else now: the cluster file, an overlay or the key changed since. */
  async #findOutdated(): Promise<void> {
    const { project, bases, caller } = this.#job
    for (const node of this.#nodes) {
      const card = this.#journal.done.get(node.name)
      if (card?.plan === undefined || !this.#isDone(node)) continue
      const image = project.imageOf(node)
      // Not worth a download where no node waits for one.
      if (this.#waiting.length === 0 && !bases.isHere(image)) continue
      const { plan } = await planNodeChanges(project, node, await bases.follow(image))
      if (digestOfPlan(plan) !== card.plan) this.#outdated.push(node.name)
    }
    if (this.#outdated.length > 0) caller.onEvent({ event: 'outdated', nodes: [...this.#outdated] })
  }

  #isDone(node: Node): boolean {
    const card = this.#journal.done.get(node.name)
    const image = this.#job.project.imageOf(node)
    // Another image in the lock means another card.
    return card !== undefined && (image.extracted === null || image.extracted.sha256 === card.sha256)
  }

  /** Say once what is waited for. */
  #await(): void {
    // Every reader that was named is busy: there is nowhere to put one.
    if (this.#readers > 0 && this.#busy.size >= this.#readers) return
    const [next] = this.#waiting
    const left = this.#waiting.length
    if (next === undefined || this.#awaited === `${next.name} ${left}`) return
    this.#awaited = `${next.name} ${left}`
    this.#job.caller.onEvent({ event: 'waiting', node: next.name, left, nodes: this.#nodes.length })
  }

  #refuse(slot: string, reason: string, hint?: string): void {
    this.#job.caller.onEvent({ event: 'refused', drive: slot, reason, hint })
  }

  /** Start on a card, unless it is done, or nobody wants it erased. */
  async #take({ slot, found }: InsertedCard): Promise<void> {
    if (this.#waiting.length === 0 || this.#busy.has(slot)) return
    const { caller, project } = this.#job
    const { unseen = false, erase = [] } = this.#job.request
    const receipt = await readReceipt(found)
    const owner = receipt?.cluster === project.cluster.name ? receipt.node : undefined
    const mine = this.#waiting.find(({ name }) => name === owner)
    if (owner !== undefined && this.#journal.done.has(owner) && mine === undefined) {
      if (this.#outdated.includes(owner))
        this.#refuse(
          slot,
          `this is the card of ${owner}, made from an older cluster file`,
          againWith([owner]),
        )
      else this.#refuse(slot, `this is the card of ${owner}, which is done`, 'Put in another one.')
      return
    }
    const node = mine ?? (this.#waiting[0] as Node)
    if (unseen) {
      try {
        await requireNamed(found, erase)
      } catch (error) {
        if (!(error instanceof DriveError) || !this.#isAttended) throw error
        this.#refuse(slot, error.message, error.hint)
        return
      }
    }
    if (!(await caller.confirm({ about: 'card', node: node.name, drive: slot, found, was: receipt }))) {
      caller.signal.throwIfAborted()
      this.#refuse(slot, 'left as it is')
      return
    }
    this.#waiting.splice(this.#waiting.indexOf(node), 1)
    caller.onEvent({ event: 'target', node: node.name, drive: slot, image: node.image, found, was: receipt })
    this.#busy.set(
      slot,
      this.#write(node, { slot, found })
        .catch((error) => {
          this.#failure ??= { error }
        })
        .finally(() => this.#busy.delete(slot)),
    )
  }

  async #write(node: Node, { slot, found }: InsertedCard): Promise<void> {
    const { caller, project } = this.#job
    const outcome = await flashCard({ node, drive: found.path, found }, this.#job)
    // Another card helps where the card was at fault; where the image was, it doesn't.
    if ('error' in outcome && outcome.error instanceof DriveError && this.#isAttended) {
      this.#waiting.unshift(node)
      this.#awaited = ''
      return
    }
    this.#outcomes.push(outcome)
    if ('error' in outcome) return
    const image = project.imageOf(node)
    await this.#journal.add(node.name, {
      image: image.key,
      sha256: outcome.sha256,
      plan: outcome.plan,
      drive: found.path,
      serial: found.serial,
      at: caller.now().toISOString(),
    })
    caller.onEvent({ event: 'done', node: node.name, drive: slot })
  }

  #explain(error: unknown): unknown {
    if (!(error instanceof InterruptedError)) return error
    const done = this.#nodes.filter((node) => this.#isDone(node)).length
    return new InterruptedError(`stopped; ${done} of ${this.#nodes.length} nodes have their card`, {
      hint: 'Run the same command again to go on with the others.',
      cause: error,
    })
  }
}
