/** `flash`: each node's image to its card and back again, all cards at once. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { UsageError } from '../errors.ts'
import { type Caller, note } from './caller.ts'
import { readReceipt, requireNamed } from './card-content.ts'
import { estimate } from './estimate.ts'
import {
  type CardOptions,
  type CardTarget,
  type Flashed,
  type FlashJob,
  flashCard,
  guardCard,
  type Outcome,
  summarise,
} from './flash-card.ts'
import { openBases } from './image-pipeline.ts'
import { type NodesRequest, openNodes } from './one-off.ts'
import { confirmCards, findNode, type Project } from './project.ts'

export interface FlashRequest extends NodesRequest, CardOptions {
  /** Each node with its whole drive, or a path ending `.img`; without a cluster file there is one, and it has no name. */
  targets: readonly { node?: string; drive: string }[]
}

/**
 * Asks before anything that is there is erased.
 * @throws {UsageError} what is asked for is impossible, or was not confirmed; nothing is written
 * @throws {DriveError} a drive must not be written, or the one card failed
 * @throws {PartialError} some cards of several failed
 */
export async function flash(request: FlashRequest, caller: Caller): Promise<Flashed> {
  checkOptions(
    request,
    request.targets.map(({ drive }) => drive),
  )
  const project = await openNodes(request, caller)
  await project.keys()
  const targets: CardTarget[] = []
  for (const target of request.targets) targets.push(await findTarget(target, project, request, caller))
  refuseSameDrive(targets)
  await confirmCards(
    targets.map(({ node }) => node),
    caller,
  )
  for (const { node, drive, found } of targets) {
    const was = found === undefined ? undefined : await readReceipt(found)
    caller.onEvent({ event: 'target', node: node.name, drive, image: node.image, found, was })
  }
  const cards = targets.filter(({ found }) => found !== undefined)
  const lengths = cards.map(({ node }) => project.imageOf(node).extracted?.size ?? 0)
  const expected = estimate(lengths, request)
  if (expected !== undefined) note(caller, expected)
  if (request.unseen)
    for (const { found } of targets) if (found !== undefined) await requireNamed(found, request.erase ?? [])
  const erased = targets.filter(
    ({ found, drive }) => found !== undefined || existsSync(resolve(caller.cwd, drive)),
  )
  const drives = erased.map(({ drive }) => drive)
  if (drives.length > 0 && !(await caller.confirm({ about: 'erase', drives })))
    throw new UsageError('not confirmed, nothing was written', { hint: '--yes answers for you' })
  const bases = await openBases(request, caller)
  try {
    return summarise(await flashAll(targets, { project, bases, request, caller, cards: targets.length }))
  } finally {
    await bases.close()
  }
}

/** @throws {UsageError} options that contradict each other, or what is to be written */
export function checkOptions(
  { retries = 0, changedOnly, probe }: CardOptions,
  drives: readonly string[],
): void {
  if (!Number.isSafeInteger(retries) || retries < 0)
    throw new UsageError(`--retries must be a whole number, not ${retries}`, {
      hint: 'For example --retries 2',
    })
  const file = drives.find(isImagePath)
  if (changedOnly && file !== undefined)
    throw new UsageError(`--changed-only is for cards; ${file} is a file, which is always made anew`, {
      hint: 'Leave --changed-only out, or name a drive.',
    })
  if (probe && changedOnly)
    throw new UsageError('--probe writes all over the card, and --changed-only keeps what is there', {
      hint: 'Leave one of them out.',
    })
  if (probe && file !== undefined)
    throw new UsageError(`--probe is for cards; ${file} is a file, which is as large as it says`, {
      hint: 'Leave --probe out, or name a drive.',
    })
}

export const isImagePath = (path: string): boolean => path.endsWith('.img')

/** Refuse what must not be written to before anything is fetched or asked. */
async function findTarget(
  { node: name, drive }: FlashRequest['targets'][number],
  project: Project,
  request: FlashRequest,
  caller: Caller,
): Promise<CardTarget> {
  const node = findNode(project.cluster, name ?? request.oneOff?.hostname ?? '')
  const imageLength = project.imageOf(node).extracted?.size ?? 0
  const found = isImagePath(drive) ? undefined : await guardCard(drive, imageLength, request, caller)
  return { node, drive, found }
}

/** One drive has many names (`/dev/disk/by-id/…`). */
function refuseSameDrive(targets: readonly CardTarget[]): void {
  const seen = new Map<string, string>()
  for (const { drive, found } of targets) {
    // One file may lie behind two loop devices.
    const medium = found?.backing ?? found?.path
    const other = medium === undefined ? undefined : seen.get(medium)
    if (other !== undefined) throw new UsageError(`${other} and ${drive} are the same drive`)
    if (medium !== undefined) seen.set(medium, drive)
  }
}

/** All cards at once. Each ends by itself, whatever becomes of the others. */
async function flashAll(targets: readonly CardTarget[], job: FlashJob): Promise<Outcome[]> {
  const ended = await Promise.allSettled(targets.map((target) => flashCard(target, job)))
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}
