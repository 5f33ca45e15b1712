/** One node onto one card: from the shared base to the engine, and what became of it. */
import { resolve } from 'node:path'
import type { Node } from '../cluster/node.ts'
import { withRanges } from '../disk/range-feed.ts'
import { ejectDisk } from '../drives/diskutil.ts'
import type { Drive } from '../drives/drive.ts'
import { guardDrive } from '../drives/guard.ts'
import { InterruptedError, PartialError, PiimageError } from '../errors.ts'
import { type CardReport, requestBytesFor } from '../flash/card.ts'
import { readQueueBytes } from '../flash/queue-limits.ts'
import { openDriveTarget, openFileTarget } from '../flash/target.ts'
import { writeCard } from '../flash/write.ts'
import { refuseUnbootable } from './boot-check.ts'
import { type Caller, taskOf } from './caller.ts'
import type { BaseImages } from './image-pipeline.ts'
import { digestOfPlan, type NodeChanges, planNodeChanges } from './node-image.ts'
import type { Project } from './project.ts'
import { type ClusterRequest, cacheFolder } from './request.ts'

/** How every card of a request is written. */
export interface CardOptions {
  /** The drive must have this serial: needed for one over 256 GB. */
  serial?: string
  /** Unmount what was mounted from the card. */
  unmount?: boolean
  /** Nobody looks at what is erased: what is neither ours nor empty must be named in `erase`. */
  unseen?: boolean
  /** File systems that may go, by label or type; `any`: all of them. */
  erase?: readonly string[]
  /** Read back what was written. Default true. */
  verify?: boolean
  /** Read the card first, and write only what differs. */
  changedOnly?: boolean
  /** Write free space as well, as the image has it. */
  full?: boolean
  /** First find out whether the card holds what it announces. */
  probe?: boolean
  /** Also what would not boot. */
  force?: boolean
  /** How often a range that reads back wrong is written again. Default 0: a card that does so is worn or lying. */
  retries?: number
}

/** A node, where it goes, and the drive there (undefined: an .img file). */
export interface CardTarget {
  node: Node
  /** As the person wrote it. */
  drive: string
  found: Drive | undefined
}

export type Outcome = { node: string; drive: string } & (
  | { report: CardReport /** Of the unpacked image. */; sha256: string /** digestOfPlan. */; plan: string }
  | { error: PiimageError }
)

/** What all cards of one request share. */
export interface FlashJob {
  project: Project
  bases: BaseImages
  request: ClusterRequest & CardOptions
  caller: Caller
  /** How many cards are written side by side, at most: they share the memory. */
  cards: number
}

/**
 * @param confirmed the drive as the person saw it
 * @throws {DriveError} the drive must not be written, or is not the one that was confirmed
 */
export const guardCard = (
  drive: string,
  imageLength: number,
  request: ClusterRequest & Pick<CardOptions, 'serial' | 'unmount'>,
  caller: Caller,
  confirmed?: Drive,
): Promise<Drive> =>
  guardDrive(resolve(caller.cwd, drive), imageLength, {
    serial: request.serial,
    unmount: request.unmount,
    cachePath: cacheFolder(request, caller),
    platform: caller.platform,
    confirmed,
  })

/**
 * Write one card. What is wrong with it is its own outcome; only an
 * interruption and bugs are thrown.
 */
export async function flashCard(target: CardTarget, job: FlashJob): Promise<Outcome> {
  const { project, bases, request, caller } = job
  const { drive } = target
  const node = target.node.name
  try {
    const base = await bases.follow(project.imageOf(target.node))
    const image = await planNodeChanges(project, target.node, base)
    for (const message of image.plan.warnings) caller.onEvent({ event: 'warning', node, message })
    // One that is still coming is looked at when it is whole.
    if (base.whole) await refuseUnbootable(image, request, caller)
    if (target.found !== undefined) {
      // The image's size is known now, and the drive may have been mounted or exchanged meanwhile.
      await guardCard(target.found.path, base.length, request, caller, target.found)
    }
    const report = await writeTo(target, image, job)
    caller.onEvent({ event: 'flashed', node, login: loginOf(target.node), ...report })
    for (const { offset, length } of report.rangesRepaired)
      caller.onEvent({
        event: 'warning',
        message: `${drive} gave back ${length} bytes at ${offset} wrong once; they were written again`,
      })
    return { node, drive, report, sha256: base.sha256, plan: digestOfPlan(image.plan) }
  } catch (error) {
    if (!(error instanceof PiimageError) || error instanceof InterruptedError) throw error
    const { name, message, hint } = error
    caller.onEvent({ event: 'failed', node, drive, error: { name, message, hint } })
    return { node, drive, error }
  }
}

/** Where the node answers: at its address, else by its name, which routers and mDNS spread. */
export function loginOf({ name, user, interfaces }: Node): string | undefined {
  return user && `${user.name}@${interfaces[0]?.address?.ip ?? `${name}.local`}`
}

/** Open the card or file, and write it. */
async function writeTo(target: CardTarget, image: NodeChanges, job: FlashJob): Promise<CardReport> {
  const { caller } = job
  const { verify = true, changedOnly = false, full = false, probe = false, retries = 0 } = job.request
  const task = taskOf(caller)
  const { base, changes } = image
  const { found } = target
  // A base from the cache is hashed meanwhile; what comes of it is asked for at the end.
  base.verified(task).catch(() => {})
  const path = resolve(caller.cwd, target.drive)
  const opened =
    found === undefined
      ? await openFileTarget(path, base.length, { overwrite: true, signal: caller.signal })
      : await openDriveTarget(found, caller.platform)
  const report = await writeCard(
    {
      target: opened,
      image: changes,
      ranges: full ? [{ offset: 0, length: base.length }] : withRanges(base.used, changes.ranges()),
      // Nothing of a card may boot before both: the image is whole, and the board starts it.
      async verified() {
        await base.verified(task)
        if (!base.whole) await refuseUnbootable(image, job.request, caller)
      },
      verify,
      changedOnly,
      skipZeroes: !full,
      probe,
      retries,
      requestBytes: requestBytesFor(job.cards, found === undefined ? undefined : readQueueBytes(found.path)),
      node: target.node.name,
    },
    task,
  ).finally(() => opened.close())
  if (found !== undefined && caller.platform === 'darwin') await leaveCard(found, caller)
  return report
}

/** On a Mac, what is left in is mounted and written to by the system: it is ejected. */
export async function leaveCard({ path }: Drive, { onEvent }: Caller): Promise<void> {
  const stuck = await ejectDisk(path)
  if (stuck !== undefined)
    onEvent({ event: 'warning', message: `${stuck}; eject it in Finder before you take it out` })
}

/** The cards that were written. */
export interface Flashed {
  flashed: { node: string; drive: string }[]
}

/**
 * What a request ends with.
 * @throws {PiimageError} the one card's own error; what all failed of; or PartialError
 */
export function summarise(outcomes: readonly Outcome[]): Flashed {
  const failed = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []))
  const [first] = failed
  if (first === undefined) return { flashed: outcomes.map(({ node, drive }) => ({ node, drive })) }
  // One reason for all: the image, not the cards.
  if (failed.length === outcomes.length && failed.every(({ error }) => error === first.error))
    throw first.error
  const names = failed.map(({ node }) => node).join(', ')
  throw new PartialError(`${failed.length} of ${outcomes.length} nodes failed: ${names}`, {
    hint: 'The others are done. Run again with only the failed ones.',
  })
}
