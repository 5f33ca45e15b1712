/** One reader: which card is in it, what is known of that card, and what is being done to it. */

import type { Receipt } from '../customise/receipt.ts'
import { sha256 } from '../digest.ts'
import type { Drive } from '../drives/drive.ts'
import { judgeDrive } from '../drives/guard.ts'
import { listContents } from '../drives/list-contents.ts'
import { isAutoMount, proofOf } from '../drives/refusal.ts'
import { DriveError } from '../errors.ts'
import type { Progress } from '../progress.ts'
import { readReceipt, requireNamed } from '../work/card-content.ts'
import { describeMedium } from '../work/card-slots.ts'
import type { CardView, ResultView, SlotView } from './view.ts'

/** A card that was looked at. */
export interface Card {
  /** As it was seen: a write must find this very one. */
  drive: Drive
  receipt: Receipt | undefined
  view: CardView
}

export interface Work {
  kind: 'write' | 'compare'
  node: string
  progress: Progress | null
  stop: AbortController
}

export class Slot {
  readonly name: string
  card: Card | undefined
  work: Work | undefined
  result: ResultView | undefined
  /** What the system said of the drive when it was looked at last. */
  facts = ''
  lookedAt = 0
  /** Was in already when the batch was armed, and nobody gave it away. */
  isOld = false

  constructor(name: string) {
    this.name = name
  }

  get view(): SlotView {
    const { name: slot, card, work, result } = this
    return {
      slot,
      card: card?.view ?? null,
      work: work === undefined ? null : { kind: work.kind, node: work.node, progress: work.progress },
      result: result ?? null,
    }
  }
}

/** A name for this very medium that tells a page nothing else. */
export const mediumOf = (drive: Drive): string => sha256(describeMedium(drive)).slice(0, 32)

/**
 * What a card is, and whether it may be written: by the rules of every command.
 * What the desktop mounted is no reason against it; it is unmounted when somebody confirms.
 */
export async function lookAtCard(drive: Drive, cachePath: string): Promise<Card> {
  const options = { unmount: true, cachePath }
  const proof = proofOf(drive)
  const doubt = judgeDrive(drive, 0, options)
  // Nothing is against it but that nobody said that this very one is meant.
  const isUnproven = doubt !== undefined && judgeDrive(drive, 0, { ...options, serial: proof }) === undefined
  const refusal = isUnproven ? undefined : doubt
  // One that must not be written may be in use: nothing is read from it.
  const receipt = refusal === undefined ? await readReceipt(drive) : undefined
  return {
    drive,
    receipt,
    view: {
      medium: mediumOf(drive),
      path: drive.path,
      size: drive.size,
      model: drive.model ?? null,
      serial: drive.serial ?? null,
      bus: drive.bus,
      holds: listContents(drive).map(({ name }) => name),
      receipt:
        receipt === undefined
          ? null
          : {
              cluster: receipt.cluster,
              node: receipt.node,
              image: receipt.image?.key ?? null,
              os: receipt.os,
            },
      refusal: refusal === undefined ? null : { message: refusal.message, hint: refusal.hint },
      unproven: isUnproven ? { message: doubt.message, proof } : null,
      mounts: drive.mounts.filter(isAutoMount).map(({ target }) => target),
      foreign: refusal === undefined && !(await isNobodys(drive)),
    },
  }
}

/** Whether a batch may take it without being asked: empty, fresh from the shop, or written by piimage. */
async function isNobodys(drive: Drive): Promise<boolean> {
  try {
    await requireNamed(drive, [])
    return true
  } catch (error) {
    if (error instanceof DriveError) return false
    throw error
  }
}
