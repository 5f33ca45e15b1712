/** One node onto one card: from the shared base to the engine, and what became of it. */
import { resolve } from 'node:path'
import type { Node } from '../cluster/node.ts'
import type { Context, GlobalArgs } from '../commands/command.ts'
import { type RangeFeed, withRanges } from '../disk/range-feed.ts'
import { ejectDisk } from '../drives/diskutil.ts'
import type { Drive } from '../drives/drive.ts'
import { guardDrive } from '../drives/guard.ts'
import { InterruptedError, PartialError, PiimageError } from '../errors.ts'
import { type CardReport, type CardRequest, requestBytesFor } from '../flash/card.ts'
import { readQueueBytes } from '../flash/queue-limits.ts'
import { openDriveTarget, openFileTarget } from '../flash/target.ts'
import { writeCard } from '../flash/write.ts'
import type { Task } from '../progress.ts'
import { formatTable } from '../report/table.ts'
import { formatBytes } from '../units.ts'
import type { BaseImages } from './base-image.ts'
import { type NodeChanges, planNodeChanges } from './node-image.ts'
import { cacheFolder, type Project } from './project.ts'

/** Flags that say how every card is written. */
export interface CardArgs {
  serial?: string
  unmount: boolean
  /** What may be erased without being asked for, by label or type. */
  erase?: string[]
  verify: boolean
  changedOnly: boolean
  full: boolean
  probe: boolean
  retries: number
}

/** A node, where it goes, and the drive there (undefined: an .img file). */
export interface CardTarget {
  node: Node
  /** As the person wrote it. */
  drive: string
  found: Drive | undefined
}

export type Outcome = { node: string; drive: string } & (
  | { report: CardReport /** Of the unpacked image. */; sha256: string }
  | { error: PiimageError }
)

/** What all cards of one command share. */
export interface FlashJob {
  project: Project
  bases: BaseImages
  args: GlobalArgs & CardArgs
  context: Context
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
  args: GlobalArgs & Pick<CardArgs, 'serial' | 'unmount'>,
  { world }: Context,
  confirmed?: Drive,
): Promise<Drive> =>
  guardDrive(resolve(world.cwd, drive), imageLength, {
    serial: args.serial,
    unmount: args.unmount,
    cachePath: cacheFolder(args, world),
    platform: world.platform,
    confirmed,
  })

/**
 * Write one card. What is wrong with it is its own outcome; only an
 * interruption and bugs are thrown.
 */
export async function flashCard(target: CardTarget, job: FlashJob): Promise<Outcome> {
  const { project, bases, args, context } = job
  const { output } = context
  const { drive } = target
  const node = target.node.name
  try {
    const base = await bases.follow(project.imageOf(target.node))
    const image = await planNodeChanges(project, target.node, base)
    for (const warning of image.plan.warnings) output.warn(`${node}: ${warning}`)
    if (target.found !== undefined) {
      // The image's size is known now, and the drive may have been mounted or exchanged meanwhile.
      await guardCard(target.found.path, base.length, args, context, target.found)
    }
    const report = await writeTo(target, image, job)
    output.event('flashed', { node, ...report })
    output.note(`${node}: ${describeReport(drive, report, args)}`)
    for (const { offset, length } of report.rangesRepaired)
      output.warn(`${drive} gave back ${length} bytes at ${offset} wrong once; they were written again`)
    return { node, drive, report, sha256: base.sha256 }
  } catch (error) {
    if (!(error instanceof PiimageError) || error instanceof InterruptedError) throw error
    const { name, message, hint } = error
    output.event('failed', { node, drive, error: { name, message, hint } })
    if (job.cards > 1) output.note(`${node}: failed: ${message}`)
    return { node, drive, error }
  }
}

/** Open the card or file, and write it. */
async function writeTo(target: CardTarget, image: NodeChanges, job: FlashJob): Promise<CardReport> {
  const { args, context } = job
  const { world, output } = context
  const task: Task = { report: output.progress, signal: world.signal }
  const { base, changes } = image
  const { found } = target
  // A base from the cache is hashed meanwhile; what comes of it is asked for at the end.
  base.verified(task).catch(() => {})
  const path = resolve(world.cwd, target.drive)
  const opened =
    found === undefined
      ? await openFileTarget(path, base.length, { overwrite: true, signal: world.signal })
      : await openDriveTarget(found, world.platform)
  const request: CardRequest = {
    target: opened,
    image: changes,
    ranges: args.full ? [{ offset: 0, length: base.length }] : rangesOf(base.used, image),
    verified: () => base.verified(task),
    verify: args.verify,
    changedOnly: args.changedOnly,
    skipZeroes: !args.full,
    probe: args.probe,
    retries: args.retries,
    requestBytes: requestBytesFor(job.cards, found === undefined ? undefined : readQueueBytes(found.path)),
    node: target.node.name,
  }
  const report = await writeCard(request, task).finally(() => opened.close())
  if (found !== undefined && world.platform === 'darwin') await leaveCard(found, context)
  return report
}

/** On a Mac, what is left in is mounted and written to by the system: it is ejected. */
export async function leaveCard({ path }: Drive, { output }: Context): Promise<void> {
  const stuck = await ejectDisk(path)
  if (stuck !== undefined) output.warn(`${stuck}; eject it in Finder before you take it out`)
}

const rangesOf = (used: RangeFeed, { changes }: NodeChanges) => withRanges(used, changes.ranges())

function describeReport(drive: string, report: CardReport, args: CardArgs): string {
  if (args.changedOnly && report.bytesWritten === 0)
    return `${drive} holds it already: ${formatBytes(report.bytesCompared)} compared, nothing written`
  const checked = args.verify ? 'read back and equal' : 'not read back (--no-verify)'
  const { bytesWritten, bytesFoundZero } = report
  const found = bytesFoundZero === 0 ? '' : ` (${formatBytes(bytesFoundZero)} of zeroes were there already)`
  const probed = args.probe ? 'it holds what it announces, ' : ''
  return `${formatBytes(bytesWritten)} written to ${drive}${found}, ${probed}${checked}`
}

/**
 * What the command ends with: a table where there was more than one card.
 * @throws {PiimageError} the one card's own error; what all failed of; or PartialError
 */
export function summarise(outcomes: readonly Outcome[], { output }: Context): object {
  const failed = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []))
  if (outcomes.length > 1)
    output.noteText(formatTable(['NODE', 'DRIVE', 'RESULT'], outcomes.map(describeOutcome)))
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

function describeOutcome(outcome: Outcome): string[] {
  const { node, drive } = outcome
  if ('error' in outcome) return [node, drive, `failed: ${outcome.error.message}`]
  const { bytesWritten, seconds } = outcome.report
  return [node, drive, `done: ${formatBytes(bytesWritten)} in ${seconds.total.toFixed(0)} s`]
}
