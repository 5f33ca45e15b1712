/**
 * Which cards were put in: looks at the readers again and again, and gives each
 * card once. A card counts as new when its place was empty in between, or holds
 * another medium than before.
 */
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Drive } from '../drives/drive.ts'
import { listDrives } from '../drives/list.ts'
import { PiimageError } from '../errors.ts'
import type { Caller } from './caller.ts'
import { guardCard } from './flash-card.ts'

/** A card that is in, and may be written. */
export interface InsertedCard {
  /** The place as it was named, or the drive's path. */
  slot: string
  found: Drive
}

const POLL_MS = 1000

export interface SlotOptions {
  /** The readers to look at; none: every card that is put in from now on. */
  named: readonly string[]
  /** Told of a card that must not be written. */
  onRefused: (slot: string, error: PiimageError) => void
}

interface Seen {
  /** In words that differ between media. */
  medium: string
  /** `given` also for what was in before we started. `refused` is tried again: it may be unmounted meanwhile. */
  state: 'given' | 'refused'
}

export class CardSlots {
  readonly #options: SlotOptions
  readonly #request: Parameters<typeof guardCard>[2]
  readonly #caller: Caller
  readonly #seen = new Map<string, Seen>()
  #isFirst = true

  constructor(options: SlotOptions, request: Parameters<typeof guardCard>[2], caller: Caller) {
    this.#options = options
    this.#request = request
    this.#caller = caller
  }

  /** Cards that came since the last time. */
  async look(): Promise<InsertedCard[]> {
    const present = await findCards(this.#options.named, this.#caller)
    for (const slot of this.#seen.keys()) if (!present.has(slot)) this.#seen.delete(slot)
    const inserted: InsertedCard[] = []
    for (const [slot, drive] of present) {
      const medium = describeMedium(drive)
      const before = this.#seen.get(slot)
      if (before?.medium === medium && before.state === 'given') continue
      // What is in when we start was not put in for us, unless its reader was named.
      const isOld = this.#isFirst && this.#options.named.length === 0
      const isKnown = before?.medium === medium
      const found = isOld ? undefined : await this.#guard(slot, isKnown)
      this.#seen.set(slot, { medium, state: isOld || found !== undefined ? 'given' : 'refused' })
      if (found !== undefined) inserted.push({ slot, found })
    }
    this.#isFirst = false
    return inserted
  }

  /** @throws the reason of the task's signal */
  async wait(): Promise<void> {
    const { signal } = this.#caller
    await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
  }

  /** The drive in a slot, if it may be written. */
  async #guard(slot: string, isTold: boolean): Promise<Drive | undefined> {
    try {
      return await guardCard(slot, 0, this.#request, this.#caller)
    } catch (error) {
      if (!(error instanceof PiimageError)) throw error
      if (!isTold) this.#options.onRefused(slot, error)
      return undefined
    }
  }
}

/**
 * What is in each reader now, judged by nothing but that it is there.
 * @param named the readers; none: every card, and its path is its reader
 * @param contents also read what lies on them
 */
export async function findCards(
  named: readonly string[],
  { platform, cwd }: Pick<Caller, 'platform' | 'cwd'>,
  contents = false,
): Promise<Map<string, Drive>> {
  const drives = await listDrives(platform, { contents })
  if (named.length === 0) return new Map(drives.filter(isCard).map((drive) => [drive.path, drive]))
  const present = new Map<string, Drive>()
  for (const slot of named) {
    const path = realPath(resolve(cwd, slot))
    const drive = drives.find((candidate) => candidate.path === path)
    if (drive !== undefined) present.set(slot, drive)
  }
  return present
}

/** Made to be taken out: a card in a reader, a stick. */
const isCard = ({ bus, removable }: Drive): boolean =>
  bus !== 'loop' && (removable || bus === 'usb' || bus === 'mmc')

/** Readers may be named by any of their names; one without a card may have none. */
function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(path).replace(/^\/dev\/rdisk/, '/dev/disk')
  } catch {
    return undefined
  }
}

/** In words that differ between media, however alike their readers are. */
export const describeMedium = ({ path, size, serial, backing, sequence }: Drive): string =>
  JSON.stringify([path, size, serial, backing, sequence])
