/**
 * The table with the readers on it: cards come and go, a person gives a node to
 * a card or arms the batch, and each card is written and read back, by the use
 * cases and guards of `flash`. What is done stands in the batch's journal, so
 * that a station that was killed goes on where it was.
 */
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { boards } from '../cluster/boards.ts'
import type { Node } from '../cluster/node.ts'
import type { Drive } from '../drives/drive.ts'
import { openCard } from '../drives/open-card.ts'
import { InterruptedError, PiimageError, UsageError } from '../errors.ts'
import type { Progress } from '../progress.ts'
import { systemRefusal } from '../system-refusal.ts'
import { MOST_READERS } from '../work/batch.ts'
import { type BatchJournal, JOURNAL_FILE, openJournal } from '../work/batch-journal.ts'
import type { Caller } from '../work/caller.ts'
import { taskOf } from '../work/caller.ts'
import { findCards } from '../work/card-slots.ts'
import { checkCard } from '../work/check-card.ts'
import type { Failure, WorkEvent } from '../work/events.ts'
import { type CardOptions, flashCard, guardCard, loginOf } from '../work/flash-card.ts'
import { type BaseImages, openBases } from '../work/image-pipeline.ts'
import { digestOfPlan, planNodeChanges } from '../work/node-image.ts'
import { confirmCards, findNode, type Project } from '../work/project.ts'
import { type ClusterRequest, cacheFolder, clusterFolder, clusterPath } from '../work/request.ts'
import { FollowedCluster } from './followed-cluster.ts'
import { type Card, lookAtCard, Slot, type Work } from './slot.ts'
import type { ClusterView, NodeView, TableView } from './view.ts'

export interface TableOptions {
  /** Readers as the person named them; none: any card that is put in. */
  readers: readonly string[]
  /** A batch unmounts what the desktop mounted by itself. */
  unmount?: boolean
}

/** Who is told: of every event, and when the table is another one. */
export interface Listener {
  onEvent: (event: WorkEvent | (WorkEvent & { slot: string })) => void
  onChange: () => void
}

export interface FlashOrder {
  slot: string
  /** The card as the person saw it. */
  medium: string
  node: string
  /** Its node has a card already, and gets another one. */
  again?: boolean
  /** The proof that this very drive is meant, where one is wanted. */
  serial?: string
}

type WriteOptions = Pick<CardOptions, 'unmount' | 'serial'>

/** A card is seen within a second of being put in. */
const POLL_MS = 500
/** A card that is refused may be free by now. */
const LOOK_AGAIN_MS = 2_000
/** Of one card's progress. */
const PROGRESS_MS = 200

export class CardTable {
  readonly #options: TableOptions
  readonly #request: ClusterRequest
  readonly #caller: Caller
  readonly #listener: Listener
  readonly #cluster: FollowedCluster
  readonly #slots = new Map<string, Slot>()
  readonly #busy = new Set<Promise<void>>()
  readonly #images = new Map<string, Progress>()
  #journal: BatchJournal | undefined
  #bases: Promise<BaseImages> | undefined
  /** An image could not be had: the next card tries again. */
  #isStale = false
  #armed = false
  /** Written here, and not put back in yet. */
  readonly #uncompared = new Set<string>()
  #outdated: ReadonlySet<string> = new Set()
  /** Failures that were told as an event already. */
  readonly #told = new WeakSet<object>()
  /** Something other than a card, a file or the network went wrong. */
  #failure: { error: unknown } | undefined

  constructor(options: TableOptions, request: ClusterRequest, caller: Caller, listener: Listener) {
    this.#options = options
    this.#request = request
    this.#listener = listener
    this.#caller = { ...caller, onEvent: (event) => this.#onSharedEvent(event) }
    this.#cluster = new FollowedCluster(request, this.#caller)
  }

  /** Follow readers and files until the signal comes; then until every card is safe. */
  async run(): Promise<void> {
    const { signal } = this.#caller
    try {
      while (!signal.aborted && this.#failure === undefined) {
        await this.look()
        await sleep(POLL_MS, undefined, { signal }).catch(() => {})
      }
    } finally {
      await Promise.all(this.#busy)
      await this.#closeBases()
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** One look at everything. */
  async look(): Promise<void> {
    if (await this.#cluster.look()) await this.#onClusterRead()
    const present = await findCards(this.#options.readers, this.#caller)
    for (const name of [...this.#options.readers, ...present.keys()])
      if (!this.#slots.has(name)) this.#slots.set(name, new Slot(name))
    const news: Slot[] = []
    for (const slot of this.#slots.values()) {
      const drive = present.get(slot.name)
      if (slot.work !== undefined) continue
      if (drive === undefined) this.#empty(slot)
      else if (this.#isNews(slot, JSON.stringify(drive))) news.push(slot)
    }
    if (news.length === 0) return
    const whole = await findCards(this.#options.readers, this.#caller, true)
    await Promise.all(
      news.map(async (slot) => {
        const drive = whole.get(slot.name)
        if (drive !== undefined) await this.#lookAt(slot, drive, JSON.stringify(present.get(slot.name)))
      }),
    )
  }

  async #lookAt(slot: Slot, drive: Drive, facts: string): Promise<void> {
    const card = await lookAtCard(drive, cacheFolder(this.#request, this.#caller))
    // Somebody gave it away meanwhile.
    if (slot.work !== undefined) return
    const before = slot.card?.view
    const isNew = before?.medium !== card.view.medium
    // Exchanged while something was done to the other one: what became of that must be read first.
    const isSwapped = isNew && before !== undefined && slot.facts === '' && slot.result?.kind === 'failed'
    if (isNew && !isSwapped) {
      slot.result = undefined
      slot.isOld = false
    }
    slot.facts = facts
    slot.lookedAt = performance.now()
    slot.card = card
    if (JSON.stringify(before) !== JSON.stringify(card.view)) this.#changed()
    if (isSwapped) return
    // One that was refused may be free now.
    if (isNew || (before.refusal !== null && card.view.refusal === null)) this.#onNewCard(slot, card)
  }

  get view(): TableView {
    return {
      cluster: this.#clusterView,
      isRoot: process.getuid === undefined || process.getuid() === 0,
      slots: [...this.#slots.values()]
        .map(({ view }) => view)
        .filter(
          ({ slot, card, work, result }) =>
            this.#options.readers.includes(slot) || card !== null || work !== null || result !== null,
        ),
      armed: this.#armed,
      images: [...this.#images.values()],
    }
  }

  /**
   * Begin to write a card, as a person confirmed it.
   * @throws {UsageError} the node or the card is not what the person saw
   * @throws {DriveError} the drive must not be written
   */
  async flash({ slot: name, medium, node: nodeName, again = false, serial }: FlashOrder): Promise<void> {
    const project = await this.#cluster.current()
    const node = findNode(project.cluster, nodeName)
    const { slot, card } = this.#find(name, medium)
    await confirmCards([node], this.#caller)
    const busyWith = this.#slotOf(node.name)
    if (busyWith !== undefined) throw new UsageError(`${busyWith.name} is becoming ${node.name} already`)
    const done = this.#journal?.done.get(node.name)
    if (done !== undefined && !again)
      throw new UsageError(`${node.name} has its card already, made ${done.at}`, {
        hint: 'Two cards of one node are the same computer twice. Say that this one replaces it, if it does.',
      })
    const { unproven } = card.view
    if (unproven !== null && serial === undefined)
      throw new UsageError(unproven.message, {
        hint: `If it is the right one, confirm it with "serial": ${JSON.stringify(unproven.proof)}.`,
      })
    this.#start(slot, card, node, project, { unmount: true, serial })
  }

  /**
   * Every card that is put in from now on becomes the next node that waits.
   * @param media of the cards that are in, those that the person gave away, too
   */
  async arm(media: readonly string[]): Promise<void> {
    await this.#cluster.current()
    this.#armed = true
    for (const slot of this.#slots.values()) {
      const isGiven = slot.card !== undefined && media.includes(slot.card.view.medium)
      slot.isOld = slot.card !== undefined && !isGiven
      if (slot.card !== undefined && isGiven && slot.work === undefined)
        this.#give(slot, slot.card, { unmount: true, seen: true })
    }
    this.#changed()
  }

  /** Cards that are being written end by themselves. */
  disarm(): void {
    this.#armed = false
    this.#changed()
  }

  /** Compare a card with what its node gets. @throws {UsageError} it is not a card of this cluster */
  async compare({ slot: name, medium }: Pick<FlashOrder, 'slot' | 'medium'>): Promise<void> {
    const project = await this.#cluster.current()
    const { slot, card } = this.#find(name, medium)
    if (card.receipt?.cluster !== project.cluster.name)
      throw new UsageError(`${name} holds no card of ${project.cluster.name}`, {
        hint: 'Only a card that was written from this cluster file can be compared with it.',
      })
    this.#startComparing(slot, findNode(project.cluster, card.receipt.node).name)
  }

  /** Stop what is done to a card; it is left unbootable. */
  stop(name: string): void {
    const slot = this.#slots.get(name)
    if (slot?.work === undefined) throw new UsageError(`nothing is being done to ${name}`)
    slot.work.stop.abort(
      new InterruptedError('stopped by hand', { hint: 'The card does not boot. Write it anew.' }),
    )
  }

  #isNews(slot: Slot, facts: string): boolean {
    if (slot.card === undefined || slot.facts !== facts) return true
    return slot.card.view.refusal !== null && performance.now() - slot.lookedAt > LOOK_AGAIN_MS
  }

  /** What became of the card stays to be read until another one comes. */
  #empty(slot: Slot): void {
    if (slot.card === undefined) return
    slot.card = undefined
    slot.facts = ''
    if (slot.result?.kind === 'left') slot.result = undefined
    this.#changed()
  }

  /** @throws {UsageError} the card that a person saw is not there any more, or something is done to it */
  #find(name: string, medium: string): { slot: Slot; card: Card } {
    const slot = this.#slots.get(name)
    if (slot === undefined) throw new UsageError(`there is no ${name}`, { hint: 'Is the reader plugged in?' })
    if (slot.work !== undefined) throw new UsageError(`${name} is being written or compared`)
    if (slot.card === undefined)
      throw new UsageError(`${name} has no card in it`, { hint: 'Put the card in again.' })
    if (slot.card.view.medium !== medium)
      throw new UsageError(`${name} holds another card than the one that was confirmed`, {
        hint: 'Look at the card that is in now, and confirm again.',
      })
    return { slot, card: slot.card }
  }

  #slotOf(node: string): Slot | undefined {
    return [...this.#slots.values()].find(({ work }) => work?.kind === 'write' && work.node === node)
  }

  /** A card that came: put back in, one for the batch, or one that waits for a person. */
  #onNewCard(slot: Slot, card: Card): void {
    const owner = this.#ownerOf(card)
    if (card.view.refusal === null && owner !== undefined && this.#uncompared.has(owner)) {
      this.#startComparing(slot, owner)
      return
    }
    if (this.#armed && !slot.isOld) this.#give(slot, card, { unmount: this.#options.unmount, seen: false })
  }

  /** The node of this cluster that the card says it is. */
  #ownerOf({ receipt }: Card): string | undefined {
    return receipt !== undefined && receipt.cluster === this.#cluster.project?.cluster.name
      ? receipt.node
      : undefined
  }

  /** Begin with a card in a batch, or say why not. */
  #give(slot: Slot, card: Card, { unmount, seen }: { unmount?: boolean; seen: boolean }): void {
    const { project } = this.#cluster
    if (card.view.refusal !== null || project === undefined) return
    const given = this.#nodeFor(card, project, seen, unmount === true)
    if ('node' in given) {
      this.#start(slot, card, given.node, project, { unmount })
      return
    }
    const { reason, hint } = given
    slot.result = { kind: 'left', reason, hint: hint ?? null }
    this.#tell(slot, { event: 'refused', drive: slot.name, reason, hint })
    this.#changed()
  }

  /**
   * The node whose card it is, else the next one that waits.
   * @param seen somebody looked at what is on it, and gave it away
   */
  #nodeFor(
    card: Card,
    project: Project,
    seen: boolean,
    unmount: boolean,
  ): { node: Node } | { reason: string; hint?: string } {
    const { foreign, mounts, holds, receipt, unproven } = card.view
    if (this.#cluster.error !== undefined)
      return {
        reason: `${clusterPath(this.#request)} has mistakes`,
        hint: 'Mend them; then put the card in again, or choose its node here.',
      }
    const waiting = this.#waiting(project)
    const owner = this.#ownerOf(card)
    const mine = waiting.find(({ name }) => name === owner)
    if (owner !== undefined && mine === undefined && this.#journal?.done.has(owner))
      return { reason: `this is the card of ${owner}, which is done`, hint: 'Put in another one.' }
    const node = mine ?? waiting[0]
    if (node === undefined) return { reason: 'every node has its card' }
    const hint = `If nothing on it is needed, choose ${node.name} for it here.`
    if (unproven !== null)
      return { reason: unproven.message, hint: `If it is the right one, choose ${node.name} for it here.` }
    if (!seen && receipt !== null && receipt.cluster !== project.cluster.name)
      return { reason: `it is the card of ${receipt.node} of another cluster, ${receipt.cluster}`, hint }
    if (!seen && foreign) return { reason: `it holds ${holds.join(', ')}, which piimage did not write`, hint }
    if (!seen && mounts.length > 0 && !unmount)
      return { reason: `it is mounted at ${mounts.join(', ')}`, hint }
    return { node }
  }

  /** Nodes that need a card, and are not on their way. */
  #waiting({ cluster, imageOf }: Project): Node[] {
    return cluster.nodes.filter((node) => {
      if (node.boot !== 'card' || this.#slotOf(node.name) !== undefined) return false
      const done = this.#journal?.done.get(node.name)
      const { extracted } = imageOf(node)
      return done === undefined || (extracted !== null && extracted.sha256 !== done.sha256)
    })
  }

  #start(slot: Slot, card: Card, node: Node, project: Project, options: WriteOptions): void {
    this.#do(slot, { kind: 'write', node: node.name }, (caller) =>
      this.#write(slot, { card, node, project, options, caller }),
    )
  }

  async #write(
    slot: Slot,
    {
      card,
      node,
      project,
      options,
      caller,
    }: { card: Card; node: Node; project: Project; options: WriteOptions; caller: Caller },
  ): Promise<void> {
    const request = { ...this.#request, ...options }
    const image = project.imageOf(node)
    this.#tell(slot, {
      event: 'target',
      node: node.name,
      drive: slot.name,
      image: node.image,
      found: card.drive,
    })
    const found = await guardCard(slot.name, image.extracted?.size ?? 0, request, caller, card.drive)
    const bases = await this.#openBases()
    const base = await bases.follow(image).catch((error) => {
      this.#isStale = true
      throw error
    })
    // All cards wait for one answer; that somebody stopped one of them must not end the others.
    base.verified(taskOf(this.#caller)).catch(() => {
      this.#isStale = true
    })
    const cards = this.#options.readers.length || MOST_READERS
    const outcome = await flashCard(
      { node, drive: found.path, found },
      { project, bases, request, caller, cards },
    )
    if ('error' in outcome) {
      this.#told.add(outcome.error)
      throw outcome.error
    }
    const at = caller.now().toISOString()
    const { sha256, plan, report } = outcome
    await this.#journal?.add(node.name, {
      image: image.key,
      sha256,
      plan,
      drive: found.path,
      serial: found.serial,
      at,
    })
    this.#outdated = new Set([...this.#outdated].filter((name) => name !== node.name))
    this.#uncompared.add(node.name)
    slot.result = {
      kind: 'written',
      node: node.name,
      bytes: report.bytesWritten,
      seconds: report.seconds.total,
      at,
    }
    this.#tell(slot, { event: 'done', node: node.name, drive: slot.name })
  }

  #startComparing(slot: Slot, node: string): void {
    this.#do(slot, { kind: 'compare', node }, async (caller) => {
      const card = await openCard(resolve(caller.cwd, slot.name), slot.name)
      try {
        await checkCard(card, { ...this.#request, path: slot.name, node }, caller)
      } finally {
        await card.close()
      }
      const at = caller.now().toISOString()
      this.#uncompared.delete(node)
      const done = this.#journal?.done.get(node)
      if (done !== undefined) await this.#journal?.add(node, { ...done, compared: at })
      slot.result = { kind: 'compared', node, at }
    })
  }

  /** Whatever becomes of it stands in the slot's result. */
  #do(slot: Slot, work: Pick<Work, 'kind' | 'node'>, task: (caller: Caller) => Promise<void>): void {
    const stop = new AbortController()
    slot.work = { ...work, progress: null, stop }
    slot.result = undefined
    slot.isOld = false
    this.#changed()
    const caller = this.#callerFor(slot, AbortSignal.any([this.#caller.signal, stop.signal]))
    const ended = async () => {
      try {
        await task(caller)
      } catch (thrown) {
        const error = asFailure(thrown)
        slot.result = { ...work, kind: 'failed', during: work.kind, error, at: caller.now().toISOString() }
        if (!this.#told.has(thrown as object))
          this.#tell(slot, { event: 'failed', node: work.node, drive: slot.name, error })
      } finally {
        slot.work = undefined
        // What lies on it now is another thing.
        slot.facts = ''
        this.#changed()
      }
    }
    this.#track(ended())
  }

  /** Work that the station ends with, and that images are kept open for. A bug in it ends the station. */
  #track(work: Promise<void>): void {
    const ended = work
      .catch((error) => {
        this.#failure ??= { error }
      })
      .then(async () => {
        this.#busy.delete(ended)
        if (this.#busy.size === 0 && (!this.#armed || this.#isStale)) await this.#closeBases()
      })
    this.#busy.add(ended)
  }

  #callerFor(slot: Slot, signal: AbortSignal): Caller {
    let told = 0
    let phase = ''
    return {
      ...this.#caller,
      signal,
      onEvent: (event) => {
        if (event.event !== 'progress') return this.#tell(slot, event)
        const { event: _, ...progress } = event
        if (slot.work !== undefined) slot.work.progress = progress
        const now = performance.now()
        if (progress.phase === phase && now - told < PROGRESS_MS && progress.bytes !== progress.totalBytes)
          return
        told = now
        phase = progress.phase
        this.#tell(slot, event)
      },
    }
  }

  #tell(slot: Slot, event: WorkEvent): void {
    this.#listener.onEvent({ ...event, slot: slot.name })
  }

  /** Of images, which all cards share, and of files. */
  #onSharedEvent(event: WorkEvent): void {
    if (event.event === 'progress') {
      const { event: _, ...progress } = event
      if (progress.bytes === progress.totalBytes) this.#images.delete(progress.subject)
      else this.#images.set(progress.subject, progress)
    }
    this.#listener.onEvent(event)
  }

  #openBases(): Promise<BaseImages> {
    this.#bases ??= openBases(this.#request, this.#caller)
    return this.#bases
  }

  async #closeBases(): Promise<void> {
    const bases = this.#bases
    this.#bases = undefined
    this.#isStale = false
    this.#images.clear()
    await (await bases?.catch(() => undefined))?.close()
  }

  async #onClusterRead(): Promise<void> {
    const { project } = this.#cluster
    this.#changed()
    if (project === undefined) return
    if (this.#cluster.error !== undefined) return
    const { name } = project.cluster
    this.#journal ??= await openJournal(join(clusterFolder(this.#request, this.#caller), JOURNAL_FILE), name)
    if (this.#journal.cluster !== name)
      throw new UsageError(`the cluster is called ${name} now, and was ${this.#journal.cluster}`, {
        hint: 'Start the station again.',
      })
    this.#track(this.#findOutdated(project))
  }

  /** Cards that would get something else now. Not worth a download. */
  async #findOutdated(project: Project): Promise<void> {
    const outdated = new Set<string>()
    const bases = await this.#openBases()
    try {
      for (const node of project.cluster.nodes) {
        const card = this.#journal?.done.get(node.name)
        const image = project.imageOf(node)
        if (card?.plan === undefined || !bases.isHere(image)) continue
        const { plan } = await planNodeChanges(project, node, await bases.follow(image))
        if (digestOfPlan(plan) !== card.plan) outdated.add(node.name)
      }
    } catch (error) {
      // What keeps a plan from being made is said when a card is to be made.
      if (!(error instanceof PiimageError)) throw error
    }
    if (project !== this.#cluster.project) return
    this.#outdated = outdated
    this.#changed()
  }

  get #clusterView(): ClusterView {
    const { project, error, mistakes } = this.#cluster
    return {
      file: clusterPath(this.#request),
      name: project?.cluster.name ?? null,
      nodes: project?.cluster.nodes.map((node) => this.#nodeView(node, project)) ?? [],
      mistakes: mistakes.map(({ file, line, column, message, hint = null }) => ({
        file,
        line,
        column,
        message,
        hint,
      })),
      problem: error === undefined || mistakes.length > 0 ? null : asFailure(error),
      canInit: this.#cluster.canInit,
    }
  }

  #nodeView(node: Node, project: Project): NodeView {
    const done = this.#journal?.done.get(node.name)
    return {
      name: node.name,
      board: boards[node.model].title,
      image: node.image,
      imageBytes: project.imageOf(node).extracted?.size ?? null,
      address: node.interfaces[0]?.address?.ip ?? null,
      login: loginOf(node) ?? null,
      role: node.role,
      boot: node.boot,
      overlays: node.overlays.map(({ name }) => name),
      done:
        done === undefined
          ? null
          : {
              at: done.at,
              drive: done.drive,
              serial: done.serial ?? null,
              compared: done.compared ?? null,
              outdated: this.#outdated.has(node.name),
              plan: done.plan ?? null,
            },
    }
  }

  #changed(): void {
    this.#listener.onChange()
  }
}

/** In the command line's words. @throws what is no failure but a bug */
function asFailure(thrown: unknown): Failure {
  const error = systemRefusal(thrown) ?? thrown
  if (!(error instanceof PiimageError)) throw error
  const { name, message, hint } = error
  return { name, message, hint }
}
