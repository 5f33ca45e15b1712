/**
 * `flash --all`: card after card, in as many readers as there are, until every
 * node has one. A card is known again by the receipt on it: one that was
 * written in this batch is refused, one of a node that still waits is given to
 * that node. What is done stands in the journal, so an interrupted batch goes on.
 */
import { dirname, join, resolve } from 'node:path'
import type { Node } from '../cluster/node.ts'
import { describeDrive } from '../commands/describe-drive.ts'
import { DriveError, InterruptedError, type PiimageError, UsageError } from '../errors.ts'
import { type BatchJournal, JOURNAL_FILE, openJournal } from './batch-journal.ts'
import { readReceipt, requireNamed } from './card-content.ts'
import { CardSlots, type InsertedCard } from './card-slots.ts'
import { lockFileOrRefuse } from './file-lock.ts'
import { type FlashJob, flashCard, type Outcome, summarise } from './flash-card.ts'

export interface BatchRequest {
  nodes: readonly Node[]
  /** Readers as the person named them; none: any card that is put in. */
  drives: readonly string[]
  /** Start over, whatever the journal says. */
  again: boolean
}

/**
 * @returns what the last `--json` line says
 * @throws {UsageError} nobody is at the terminal, and no readers are named or `--yes` is missing;
 *   or another batch of this cluster is under way
 * @throws {PartialError} cards failed, and nobody is there to put in others
 * @throws {InterruptedError} stopped; the journal says what is done
 */
export async function runBatch(request: BatchRequest, job: FlashJob): Promise<object> {
  const { context, args, project } = job
  const isAttended = context.world.stderr.isTTY === true
  if (!isAttended && (request.drives.length === 0 || !args.yes))
    throw new UsageError('--all without a terminal needs the readers by name, and --yes', {
      hint: 'For example: piimage flash --all --yes /dev/sda /dev/sdb',
    })
  const path = join(dirname(resolve(context.world.cwd, args.cluster)), JOURNAL_FILE)
  const lock = await lockFileOrRefuse(
    path,
    `writes the cards of ${project.cluster.name}`,
    context.world.signal,
  )
  try {
    const journal = await openJournal(path, project.cluster.name, request.again)
    return await new Batch(request, job, journal, isAttended).run()
  } finally {
    lock.release()
  }
}

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
  #asked = ''

  constructor(request: BatchRequest, job: FlashJob, journal: BatchJournal, isAttended: boolean) {
    this.#job = job
    this.#journal = journal
    this.#isAttended = isAttended
    this.#nodes = request.nodes
    this.#readers = request.drives.length
    this.#waiting = request.nodes.filter((node) => !this.#isDone(node))
    const onRefused = (slot: string, error: PiimageError) => this.#refuse(slot, error.message, error.hint)
    this.#slots = new CardSlots({ named: request.drives, onRefused }, job.args, job.context)
  }

  async run(): Promise<object> {
    const { output } = this.#job.context
    const done = this.#nodes.length - this.#waiting.length
    output.event('batch', { nodes: this.#nodes.length, done })
    if (done > 0)
      output.note(`${done} of ${this.#nodes.length} nodes have their card already (--again starts over)`)
    try {
      while (this.#failure === undefined && (this.#waiting.length > 0 || this.#busy.size > 0)) {
        for (const card of await this.#slots.look()) await this.#take(card)
        if (this.#waiting.length === 0) await Promise.race(this.#busy.values())
        else if (this.#failure === undefined) {
          this.#ask()
          await this.#slots.wait()
        }
      }
    } catch (error) {
      this.#failure ??= { error }
    }
    // Cards that are being written end by themselves: done, or made safe.
    await Promise.all(this.#busy.values())
    if (this.#failure !== undefined) throw this.#explain(this.#failure.error)
    return this.#outcomes.length === 0 ? { flashed: [] } : summarise(this.#outcomes, this.#job.context)
  }

  #isDone(node: Node): boolean {
    const card = this.#journal.done.get(node.name)
    const image = this.#job.project.imageOf(node)
    // Another image in the lock means another card.
    return card !== undefined && (image.extracted === null || image.extracted.sha256 === card.sha256)
  }

  /** Say once what is waited for. */
  #ask(): void {
    // Every reader that was named is busy: there is nowhere to put one.
    if (this.#readers > 0 && this.#busy.size >= this.#readers) return
    const next = this.#waiting[0]
    const text = `Put in a card for ${next?.name} (${this.#waiting.length} of ${this.#nodes.length} to go)`
    if (this.#asked === text) return
    this.#asked = text
    this.#job.context.output.event('waiting', { node: next?.name, left: this.#waiting.length })
    this.#job.context.output.note(text)
  }

  #refuse(slot: string, reason: string, hint?: string): void {
    const { output } = this.#job.context
    output.event('refused', { drive: slot, reason })
    output.note(`${slot}: ${reason}${hint === undefined ? '' : ` (${hint})`}`)
  }

  /** Start on a card, unless it is done, or nobody wants it erased. */
  async #take({ slot, found }: InsertedCard): Promise<void> {
    if (this.#waiting.length === 0 || this.#busy.has(slot)) return
    const { context, args, project } = this.#job
    const receipt = await readReceipt(found)
    const owner = receipt?.cluster === project.cluster.name ? receipt.node : undefined
    const mine = this.#waiting.find(({ name }) => name === owner)
    if (owner !== undefined && this.#journal.done.has(owner) && mine === undefined) {
      this.#refuse(slot, `this is the card of ${owner}, which is done`, 'Put in another one.')
      return
    }
    if (args.yes) {
      try {
        await requireNamed(found, args.erase ?? [])
      } catch (error) {
        if (!(error instanceof DriveError)) throw error
        this.#refuse(slot, error.message, error.hint)
        return
      }
    }
    const node = mine ?? (this.#waiting[0] as Node)
    const question = `${slot} (${describeDrive(found)}) is erased and becomes ${node.name}. Go on?`
    if (!args.yes && !(await context.world.confirm(question))) {
      context.world.signal.throwIfAborted()
      this.#refuse(slot, 'left as it is')
      return
    }
    this.#waiting.splice(this.#waiting.indexOf(node), 1)
    context.output.event('target', { node: node.name, drive: slot, image: node.image })
    context.output.note(`${slot}: becomes ${node.name}`)
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
    const { context, project } = this.#job
    const outcome = await flashCard({ node, drive: found.path, found }, this.#job)
    // Another card helps where the card was at fault; where the image was, it doesn't.
    if ('error' in outcome && outcome.error instanceof DriveError && this.#isAttended) {
      this.#waiting.unshift(node)
      this.#asked = ''
      return
    }
    this.#outcomes.push(outcome)
    if ('error' in outcome) return
    const image = project.imageOf(node)
    await this.#journal.add(node.name, {
      image: image.key,
      sha256: outcome.sha256,
      drive: found.path,
      serial: found.serial,
      at: context.world.now().toISOString(),
    })
    context.output.note(`${slot}: take out the card and write "${node.name}" on it`)
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
