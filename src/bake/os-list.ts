/**
 * The list Raspberry Pi Imager reads (`rpi-imager --repo FILE`): one entry per
 * baked image, and the boards they are for. Without boards Imager 2 has nothing
 * to choose on its first page.
 *
 * Source: raspberrypi/rpi-imager, doc/json-schema/os-list-schema.json (draft
 * 07): name, description, icon, url, extract_size, extract_sha256,
 * image_download_size, release_date and devices are required; src/hwlistmodel.cpp
 * and src/oslistparser.cpp for what is done with them.
 */
import { boards, type ImagerFormat, type Model } from '../cluster/boards.ts'
import { UsageError } from '../errors.ts'

export interface OsListImage {
  name: string
  description: string
  /** Where the image file can be had. */
  url: string
  bmapUrl: string
  extractedSize: number
  extractedSha256: string
  size: number
  sha256: string
  /** YYYY-MM-DD */
  releaseDate: string
  model: Model
  arch: 'armhf' | 'arm64'
  /** What Imager's own pages may still set; `none` where the node's settings are in the image already. */
  imager: ImagerFormat
}

/** A picture is required; an empty one in the file itself needs no server. */
const ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"

interface OsList {
  os_list: { name: string; devices?: unknown }[]
}

/** Boards by their tag. One tag stands for several of ours: Imager's own names. */
const devices: Record<string, { name: string; description: string }> = {
  pi5: { name: 'Raspberry Pi 5', description: 'Raspberry Pi 5, 500 and Compute Module 5' },
  pi4: { name: 'Raspberry Pi 4', description: 'Raspberry Pi 4, 400 and Compute Module 4' },
  pi3: { name: 'Raspberry Pi 3', description: 'Raspberry Pi 3, Zero 2 W and Compute Module 3' },
  pi2: { name: 'Raspberry Pi 2', description: 'Raspberry Pi 2' },
  pi1: { name: 'Raspberry Pi 1', description: 'Raspberry Pi 1, Zero, Zero W and Compute Module 1' },
}

/**
 * @param before the text of a list that is there already: its entries stay,
 *   those of the same name are replaced
 * @throws {UsageError} `before` is no such list
 */
export function formatOsList(images: readonly OsListImage[], before?: string): string {
  const added = images.map((image) => ({
    name: image.name,
    description: image.description,
    icon: ICON,
    url: image.url,
    bmap_url: image.bmapUrl,
    extract_size: image.extractedSize,
    extract_sha256: image.extractedSha256,
    image_download_size: image.size,
    image_download_sha256: image.sha256,
    release_date: image.releaseDate,
    init_format: image.imager,
    architecture: image.arch === 'arm64' ? 'armv8' : 'armhf',
    // I²C, SPI and the like are in the image already.
    capabilities: [],
    devices: [`${boards[image.model].imagerTag}-${image.arch === 'arm64' ? '64bit' : '32bit'}`],
  }))
  const names = new Set(added.map(({ name }) => name))
  const kept = before === undefined ? [] : parseOsList(before).filter(({ name }) => !names.has(name))
  const list = [...kept, ...added]
  return `${JSON.stringify({ imager: { devices: devicesOf(list) }, os_list: list }, null, 2)}\n`
}

function devicesOf(list: OsList['os_list']): object[] {
  const tags = new Set(list.flatMap((entry) => (Array.isArray(entry.devices) ? entry.devices : [])))
  return Object.entries(devices).flatMap(([tag, device]) => {
    const own = [`${tag}-64bit`, `${tag}-32bit`].filter((name) => tags.has(name))
    if (own.length === 0) return []
    return [{ ...device, tags: own, icon: ICON, matching_type: 'exclusive', capabilities: [] }]
  })
}

function parseOsList(text: string): OsList['os_list'] {
  try {
    const { os_list: list } = JSON.parse(text) as OsList
    if (Array.isArray(list) && list.every((entry) => typeof entry?.name === 'string')) return list
  } catch {
    // Said below.
  }
  throw new UsageError('the os_list.json that is there already is not a list of images', {
    hint: 'Move it away, or bake into another folder.',
  })
}
