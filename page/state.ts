/**
 * What the station says, as one value that the page is drawn from. Names come
 * from cards, readers and files of others: what can't be seen in them is
 * spelled out where they come in, once for all.
 */
import type { Progress } from '../src/progress.ts'
import type { TableView } from '../src/station/view.ts'
import { quoteText } from '../src/terminal-text.ts'

/** The last seconds of one card, for its rate. */
interface Sample {
  at: number
  bytes: number
}

export interface Rate {
  /** Bytes a second; null: not known yet. */
  rate: number | null
  secondsLeft: number | null
}

export interface State {
  table: TableView | null
  isConnected: boolean
  /** The newest first. */
  log: readonly { at: Date; text: string; isBad: boolean }[]
  rates: ReadonlyMap<string, Rate>
}

const WINDOW_MS = 8_000
const MOST_LINES = 200

let state: State = { table: null, isConnected: false, log: [], rates: new Map() }
const samples = new Map<string, { phase: string; seen: Sample[] }>()
const listeners = new Set<() => void>()

export const getState = (): State => state

export function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function change(part: Partial<State>): void {
  state = { ...state, ...part }
  for (const listener of listeners) listener()
}

const clean = (_: string, value: unknown): unknown => (typeof value === 'string' ? quoteText(value) : value)

/** @returns what was answered */
export async function ask<T>(path: string): Promise<T> {
  return take<T>(await fetch(`/api/${path}`))
}

export async function order<T>(name: string, given: object): Promise<T> {
  return take<T>(
    await fetch(`/api/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(given),
    }),
  )
}

/** In the station's words. */
export class Refused extends Error {
  readonly hint: string | undefined
  /** Of a form, field by field. */
  readonly fields: Readonly<Record<string, { message: string; hint?: string }>>

  constructor(message: string, hint?: string, fields: Refused['fields'] = {}) {
    super(message)
    this.hint = hint
    this.fields = fields
  }
}

/** Whatever went wrong with a question or an order. */
export const asRefused = (error: unknown): Refused =>
  error instanceof Refused ? error : new Refused('the station does not answer', String(error))

async function take<T>(response: Response): Promise<T> {
  const answer = JSON.parse(await response.text(), clean)
  if (response.ok) return answer
  const { message, hint, fields } = answer.error
  throw new Refused(message, hint, fields)
}

type Told = { event: string; slot?: string } & Record<string, unknown>

function onEvent(told: Told): void {
  const line = describe(told)
  if (told.event === 'table') onTable(told as unknown as TableView)
  else if (told.event === 'progress') onProgress(told as unknown as Progress & { slot?: string })
  else if (line !== undefined)
    change({ log: [{ at: new Date(), ...line }, ...state.log].slice(0, MOST_LINES) })
}

function onTable(table: TableView): void {
  const busy = new Set(table.slots.filter(({ work }) => work !== null).map(({ slot }) => slot))
  for (const slot of samples.keys()) if (!busy.has(slot)) samples.delete(slot)
  change({ table, isConnected: true, rates: new Map([...state.rates].filter(([slot]) => busy.has(slot))) })
}

function onProgress({ slot, phase, bytes, totalBytes, subject, node }: Progress & { slot?: string }): void {
  const { table } = state
  if (table === null) return
  const progress = { phase, bytes, totalBytes, subject, node }
  if (slot === undefined) {
    const others = table.images.filter((image) => image.subject !== subject)
    change({ table: { ...table, images: bytes === totalBytes ? others : [...others, progress] } })
    return
  }
  const slots = table.slots.map((one) =>
    one.slot === slot && one.work !== null ? { ...one, work: { ...one.work, progress } } : one,
  )
  change({ table: { ...table, slots }, rates: new Map(state.rates).set(slot, rateOf(slot, progress)) })
}

function rateOf(slot: string, { phase, bytes, totalBytes }: Progress): Rate {
  const now = performance.now()
  const before = samples.get(slot)
  const seen = before?.phase === phase ? before.seen : []
  seen.push({ at: now, bytes })
  while ((seen[0]?.at ?? now) < now - WINDOW_MS) seen.shift()
  samples.set(slot, { phase, seen })
  const first = seen[0] as Sample
  // A first impression of half a second misleads.
  if (now - first.at < 500) return { rate: null, secondsLeft: null }
  const rate = ((bytes - first.bytes) / (now - first.at)) * 1000
  const left = totalBytes === null || rate <= 0 ? null : (totalBytes - bytes) / rate
  return { rate, secondsLeft: left }
}

/** What is worth a line, and being said aloud. */
function describe(told: Told): { text: string; isBad: boolean } | undefined {
  const { event, slot, node, message } = told
  const good = (text: string) => ({ text, isBad: false })
  const bad = (text: string) => ({ text, isBad: true })
  if (event === 'target') return good(`${slot} becomes ${node}`)
  if (event === 'done') return good(`${node} is done: take the card out of ${slot} and write "${node}" on it`)
  if (event === 'failed')
    return bad(`${node} in ${slot} failed: ${(told.error as { message: string }).message}`)
  if (event === 'refused') return bad(`${slot} is left as it is: ${told.reason}`)
  if (event === 'warning') return bad(node === undefined ? `${message}` : `${node}: ${message}`)
  if (event === 'note') return good(`${message}`)
  return undefined
}

export function connect(): void {
  const events = new EventSource('/api/events')
  events.onmessage = ({ data }) => onEvent(JSON.parse(data, clean))
  events.onerror = () => {
    change({ isConnected: false })
    if (events.readyState !== EventSource.CLOSED) return
    setTimeout(connect, 2000)
  }
}
