/**
 * Cards that help boards onto the network, made from an image and the same for
 * all boards.
 *
 * - `bootcode`, for those that can't boot from it by themselves (Pi 1 and 2):
 *   one FAT file system with one file, the boot loader, which fetches the rest.
 * - `otp`, for the Pi 3B, once: the image, with the line in its config.txt that
 *   sets the bit for booting from the network in the board. There is no way back.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Baked, bakedFileName, bakeImage } from '../bake/bake.ts'
import type { BakeFormat } from '../bake/compress.ts'
import { editConfigTxt } from '../boot/config-txt.ts'
import type { LockedImage } from '../catalog/locked-image.ts'
import { boards, type Netboot } from '../cluster/boards.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { type BlockReader, mergeRanges, type Range } from '../disk/blocks.ts'
import { newestTime, openBootVolume } from '../disk/boot-volume.ts'
import { type BlockEditor, Changes } from '../disk/changes.ts'
import { formatFat32 } from '../disk/fat/format.ts'
import { FatVolume } from '../disk/fat/volume.ts'
import { formatMbr } from '../disk/mbr.ts'
import { FormatError, UsageError } from '../errors.ts'
import { makeOutputFolder } from '../io/ownership.ts'
import { MiB, SECTOR_BYTES } from '../units.ts'
import { type Caller, taskOf } from './caller.ts'
import type { BaseImage, BaseImages } from './image-pipeline.ts'

export type NetbootCardKind = Extract<Netboot, 'bootcode' | 'otp'>

interface Card {
  image: BlockReader
  /** What must be written. */
  used: Range[]
}

/** The nodes of a cluster whose boards need such a card. */
export function needsNetbootCard(kind: NetbootCardKind, { nodes }: Cluster): Node[] {
  return nodes.filter(({ boot, model }) => boot === 'net' && boards[model].netboot === kind)
}

export interface NetbootCardRequest {
  kind: NetbootCardKind
  /** One card for each. */
  images: readonly LockedImage[]
  folder: string
  format: BakeFormat
  level?: number | undefined
}

/**
 * `bootcode.img` or `otp.img`; with several images, `bootcode-<image>.img`.
 * @throws {UsageError} a file is there and may not be replaced
 */
export async function bakeNetbootCards(
  request: NetbootCardRequest,
  bases: BaseImages,
  caller: Caller,
): Promise<Baked[]> {
  const { kind, images, folder, format, level } = request
  const nameOf = ({ key }: LockedImage) => (images.length === 1 ? kind : `${kind}-${key}`)
  await refuseToReplace(
    images.map((image) => join(folder, bakedFileName(nameOf(image), format))),
    caller,
  )
  await makeOutputFolder(folder)
  const task = taskOf(caller)
  const all: Baked[] = []
  for (const locked of images) {
    const base = await bases.open(locked)
    const { image, used } = kind === 'otp' ? await buildOtpCard(base) : await buildBootcodeCard(base)
    await base.verified(task)
    const name = nameOf(locked)
    const baked = await bakeImage({ image, used, folder, name, format, mode: 0o644, level }, task)
    caller.onEvent({ event: 'baked', card: kind, image: locked.key, ...baked })
    all.push(baked)
  }
  return all
}

/** @throws {UsageError} files are there, and nobody said that they may be replaced */
export async function refuseToReplace(paths: readonly string[], { confirm }: Caller): Promise<void> {
  const files = paths.filter((path) => existsSync(path))
  if (files.length === 0 || (await confirm({ about: 'replace', files }))) return
  throw new UsageError(`${files[0]} exists, nothing was written`, { hint: '--yes replaces it' })
}

/** Its last line counts, whatever filter the image's own ends with. */
async function buildOtpCard(base: BaseImage): Promise<Card> {
  const image = new Changes(base.reader)
  const { volume } = await openBootVolume(image)
  const before = Buffer.from(await volume.readFile('config.txt')).toString('latin1')
  const line = { filter: 'all', key: 'program_usb_boot_mode', value: '1' }
  const after = Buffer.from(editConfigTxt(before, [line]), 'latin1')
  await volume.writeFile('config.txt', after, { modified: await newestTime(volume) })
  return { image, used: mergeRanges([...(await base.used.all()), ...image.ranges()]) }
}

const BOOTCODE = 'bootcode.bin'
/** Where partitions start on everything that was made in the last ten years. */
const PARTITION = { index: 1, type: 0x0c, offset: MiB, length: 64 * MiB }

/** @throws {FormatError} the image has no boot loader of that kind */
async function buildBootcodeCard(base: BaseImage): Promise<Card> {
  const source = (await openBootVolume(base.reader)).volume
  const entry = await source.stat(BOOTCODE)
  if (entry === undefined)
    throw new FormatError(`${base.key} has no ${BOOTCODE} on its boot partition`, {
      hint: 'Any Raspberry Pi OS image that also boots a Pi 3 or older has one.',
    })
  const bytes = await source.readFile(BOOTCODE)
  const digest = createHash('sha256').update(bytes).digest()

  const image = new Changes(zeroes(PARTITION.offset + PARTITION.length))
  await image.write(0, formatMbr(digest.toString('hex', 0, 4), [PARTITION]))
  const volume = part(image)
  const startSectors = PARTITION.offset / SECTOR_BYTES
  await formatFat32(volume, { label: 'BOOTCODE', volumeId: digest.readUInt32LE(4), startSectors })
  await (await FatVolume.open(volume)).writeFile(BOOTCODE, bytes, { modified: entry.modified })
  return { image, used: image.ranges() }
}

function zeroes(length: number): BlockReader {
  return { length, read: async (_, count) => new Uint8Array(count) }
}

function part(image: Changes): BlockEditor {
  const { offset, length } = PARTITION
  return {
    length,
    read: (at, count) => image.read(offset + at, count),
    write: (at, bytes) => image.write(offset + at, bytes),
  }
}
