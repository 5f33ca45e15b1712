/**
 * `inspect`: what is this card? Partitions, operating system, node and receipt;
 * and whether it still holds what `flash` wrote.
 */
import { resolve } from 'node:path'
import { type BootFiles, readText } from '../boot/boot-files.ts'
import { NODE_RECORD } from '../boot/payload-paths.ts'
import { boards, type Model } from '../cluster/boards.ts'
import { bootFilesOfVolume } from '../customise/apply-boot-plan.ts'
import { RECEIPT_FILE, readEarlier, readReceipt } from '../customise/receipt.ts'
import { type BlockReader, subReader } from '../disk/blocks.ts'
import { openBootVolume } from '../disk/boot-volume.ts'
import type { Ext4Volume } from '../disk/ext4/volume.ts'
import { FatVolume } from '../disk/fat/volume.ts'
import type { Partition } from '../disk/mbr.ts'
import { openVolume } from '../disk/open-volume.ts'
import { readPartitions } from '../disk/partitions.ts'
import { openCard } from '../drives/open-card.ts'
import { FormatError, UsageError } from '../errors.ts'
import { findCmdline, withCmdlineAt } from '../firmware/boot-selection.ts'
import { checkCard as checkBoot } from '../rehearsal/card/check-card.ts'
import { detectSystem } from '../systems/detect.ts'
import { describePacked, lookIntoPacked, type PackedContent } from '../unpack/packed-file.ts'
import { refuseFaults } from './boot-check.ts'
import type { Caller } from './caller.ts'
import type { CheckedCard } from './check-card.ts'
import type { CardContent } from './events.ts'
import type { ClusterRequest } from './request.ts'

export interface InspectRequest extends ClusterRequest {
  /** Drive, or raw image file. */
  path: string
  /** The system, where it is not recognised. */
  os?: string
  /** Compare every byte that `flash` writes with the plan of a node. */
  check?: boolean
  /** That node. Default: what the receipt on the card says. */
  node?: string
}

export type Inspected = { path: string } & (
  | { packed: PackedContent }
  | (CardContent & {
      /** With `check`: the node it is equal to; `layout` where the boot partition only holds the same files. */
      equal?: { node: string } & CheckedCard
    })
)

/**
 * @throws {UsageError} there is nothing to look at, or nothing to compare it with
 * @throws {DriveError} with `check`, it differs
 * @throws {NetrootError} it is a node's, and its board would not start it
 */
export async function inspect(request: InspectRequest, caller: Caller): Promise<Inspected> {
  const path = resolve(caller.cwd, request.path)
  const card = await openCard(path, request.path)
  try {
    const packed = await lookIntoPacked(path, card, caller.signal)
    if (packed !== undefined) {
      if (request.check)
        throw new UsageError(`${describePacked(request.path, packed)}: there is no card to compare`, {
          hint: 'Inspect a drive or a raw image.',
        })
      caller.onEvent({ event: 'inspected', path, packed })
      return { path, packed }
    }
    const found = await look(card, request.path, request.os)
    caller.onEvent({ event: 'inspected', path, ...found })
    const refuse = () => {
      if (found.boot !== undefined) refuseFaults(found.boot, request.path, '')
    }
    if (!request.check) {
      refuse()
      return { path, ...found }
    }
    const node = request.node ?? found.receipt?.node
    if (node === undefined)
      throw new UsageError(`${request.path} has no ${RECEIPT_FILE}, so there is nothing to compare it with`, {
        hint: 'Say which node it should be: --node NAME',
      })
    const { checkCard } = await import('./check-card.ts')
    const checked = await checkCard(card, { ...request, node, was: found.receipt?.node }, caller)
    refuse()
    return { path, ...found, equal: { node, ...checked } }
  } finally {
    await card.close()
  }
}

async function look(card: BlockReader, name: string, os: string | undefined): Promise<CardContent> {
  const { partitions } = await readPartitions(card)
  const found: CardContent = { length: card.length, partitions: [] }
  const booted = await bootPartitionOf(card, found)
  for (const partition of partitions) {
    const { index, offset, length } = partition
    const volume = await tryOpen(card, partition)
    found.partitions.push({
      index,
      offset,
      length,
      volume: typeof volume === 'string' ? volume : nameOf(volume),
      doubts: typeof volume === 'string' ? [] : await doubtsOf(volume),
    })
    if (volume instanceof FatVolume && index === booted) {
      const files = bootFilesOfVolume(volume, partition)
      try {
        const { system } = await readEarlier(files)
        const { family, release, evidence } = (
          await detectSystem(withCmdlineAt(files, (await findCmdline(files)).path), os, system)
        ).os
        found.os = { family, release, evidence }
      } catch (error) {
        if (!(error instanceof FormatError)) throw error
        found.unknown = error.message
      }
      found.receipt ??= await readReceipt(files)
      const model = await modelOf(files)
      if (model !== undefined) found.boot ??= await checkBoot({ image: card, model })
    }
  }
  if (partitions.length === 0) throw new FormatError(`${name} has a partition table without partitions`)
  return found
}

/** Number of the partition that boards start from; undefined: none, and `unknown` says why. */
async function bootPartitionOf(card: BlockReader, found: CardContent): Promise<number | undefined> {
  try {
    return (await openBootVolume(card)).partition.index
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    found.unknown = error.message
    return undefined
  }
}

/** The volume, or in words why there is none. */
async function tryOpen(card: BlockReader, { offset, length }: Partition) {
  if (offset + length > card.length) return 'reaches past the end of the drive'
  try {
    return (await openVolume(subReader(card, offset, length))) ?? 'no FAT or ext4 file system'
  } catch (error) {
    if (error instanceof FormatError) return `damaged: ${error.message}`
    throw error
  }
}

/** What e2fsck and fsck.fat would say first; they say more. */
async function doubtsOf(volume: FatVolume | Ext4Volume): Promise<string[]> {
  if (volume instanceof FatVolume) return volume.doubts()
  return (await volume.usage()).doubts
}

/** The board that the node on this card is for. */
async function modelOf(files: BootFiles): Promise<Model | undefined> {
  try {
    const { model } = JSON.parse((await readText(files, NODE_RECORD)) ?? '{}') as { model?: unknown }
    return typeof model === 'string' && model in boards ? (model as Model) : undefined
  } catch {
    return undefined
  }
}

function nameOf(volume: Exclude<Awaited<ReturnType<typeof openVolume>>, undefined>): string {
  return volume instanceof FatVolume ? `FAT${volume.kind} ${volume.label}` : `ext4 ${volume.superblock.label}`
}
