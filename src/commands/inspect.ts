/**
 * `piimage inspect`: what is this card? Partitions, operating system, node and
 * receipt; with --check, whether it still holds what `flash` wrote.
 */
import { resolve } from 'node:path'
import { bootFilesOfVolume } from '../customise/apply-boot-plan.ts'
import { RECEIPT_FILE, type Receipt, readEarlier, readReceipt } from '../customise/receipt.ts'
import { type BlockReader, subReader } from '../disk/blocks.ts'
import { FatVolume } from '../disk/fat/volume.ts'
import type { Partition } from '../disk/mbr.ts'
import { openVolume } from '../disk/open-volume.ts'
import { readPartitions } from '../disk/partitions.ts'
import { openCard } from '../drives/open-card.ts'
import { FormatError, UsageError } from '../errors.ts'
import { formatTable } from '../report/table.ts'
import { detectSystem } from '../systems/detect.ts'
import { quoteLine } from '../terminal-text.ts'
import { formatBytes } from '../units.ts'
import { describePacked, lookIntoPacked, type PackedContent } from '../unpack/packed-file.ts'
import { type Context, defineCommand } from './command.ts'
import { OS_FLAG } from './os-flag.ts'

interface InspectArgs {
  path: string
  check: boolean
  node?: string
  os?: string
}

interface Found {
  partitions: { index: number; offset: number; length: number; volume: string }[]
  os?: { family: string; release: string; evidence: string[] }
  /** Why no system was recognised. */
  unknown?: string
  receipt?: Receipt
}

export const inspectCommand = defineCommand<InspectArgs>({
  command: 'inspect <path>',
  describe: 'Say what is on a card or in an image; --check compares with the plan',
  builder: (cli) =>
    cli
      .positional('path', { type: 'string', demandOption: true, describe: 'Drive or raw image file' })
      .option('check', { type: 'boolean', default: false, describe: 'Compare every byte that flash writes' })
      .option('node', {
        type: 'string',
        nargs: 1,
        describe: 'Compare with this node (default: what the receipt says)',
      })
      .option('os', { type: 'string', nargs: 1, describe: OS_FLAG })
      .example('$0 inspect /dev/sdX --check', 'Is this card as flash left it?'),
  async run(args, context) {
    const { output } = context
    const path = resolve(context.world.cwd, args.path)
    const card = await openCard(path, args.path)
    try {
      const packed = await lookIntoPacked(path, card, context.world.signal)
      if (packed !== undefined) return sayPacked(path, packed, args, context)
      const found = await look(card, args.path, args.os)
      output.event('inspected', { path, ...found })
      output.printText(describeFound(args.path, card.length, found))
      if (!args.check) return { path, ...found }
      const node = args.node ?? found.receipt?.node
      if (node === undefined) {
        throw new UsageError(`${args.path} has no ${RECEIPT_FILE}, so there is nothing to compare it with`, {
          hint: 'Say which node it should be: --node NAME',
        })
      }
      const { checkCard } = await import('../work/check-card.ts')
      await checkCard(card, { name: args.path, node, os: args.os }, args, context)
      return { path, node, equal: true, ...found }
    } finally {
      await card.close()
    }
  },
})

function sayPacked(path: string, packed: PackedContent, args: InspectArgs, { output }: Context): object {
  const sentence = describePacked(args.path, packed)
  if (args.check) {
    throw new UsageError(`${sentence}: there is no card to compare`, {
      hint: 'Inspect a drive or a raw image.',
    })
  }
  output.event('inspected', { path, packed })
  output.print(sentence)
  return { path, packed }
}

async function look(card: BlockReader, name: string, os: string | undefined): Promise<Found> {
  const { partitions } = await readPartitions(card)
  const found: Found = { partitions: [] }
  for (const partition of partitions) {
    const { index, offset, length } = partition
    const volume = await tryOpen(card, partition)
    found.partitions.push({
      index,
      offset,
      length,
      volume: typeof volume === 'string' ? volume : nameOf(volume),
    })
    if (volume instanceof FatVolume && found.os === undefined) {
      const files = bootFilesOfVolume(volume)
      try {
        const { system } = await readEarlier(files)
        const { family, release, evidence } = (await detectSystem(files, os, system)).os
        found.os = { family, release, evidence }
      } catch (error) {
        if (!(error instanceof FormatError)) throw error
        found.unknown = error.message
      }
      found.receipt ??= await readReceipt(files)
    }
  }
  if (partitions.length === 0) throw new FormatError(`${name} has a partition table without partitions`)
  return found
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

function nameOf(volume: Exclude<Awaited<ReturnType<typeof openVolume>>, undefined>): string {
  return volume instanceof FatVolume ? `FAT${volume.kind} ${volume.label}` : `ext4 ${volume.superblock.label}`
}

function describeFound(name: string, length: number, found: Found): string {
  const rows = found.partitions.map((p) => [
    `${p.index}`,
    formatBytes(p.offset),
    formatBytes(p.length),
    p.volume,
  ])
  const lines = [
    quoteLine(`${name}: ${formatBytes(length)}`),
    formatTable(['PARTITION', 'AT', 'SIZE', 'VOLUME'], rows),
  ]
  const system =
    found.os === undefined
      ? (found.unknown ?? 'no boot partition that can be read')
      : `${found.os.family} ${found.os.release} (${found.os.evidence.join('; ')})`
  lines.push(quoteLine(`system: ${system}`))
  const { receipt } = found
  lines.push(
    receipt === undefined
      ? 'node: none, no receipt'
      : quoteLine(
          `node: ${receipt.node} of cluster ${receipt.cluster}, ${receipt.image === undefined ? 'on a card that piimage did not write' : `image ${receipt.image.key}`}, written by piimage ${receipt.piimage}`,
        ),
  )
  return lines.join('\n')
}
