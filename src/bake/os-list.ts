/**
 * The list Raspberry Pi Imager reads (`rpi-imager --repo FILE`): one entry per
 * baked image.
 *
 * Source: raspberrypi/rpi-imager, doc/json-schema/os-list-schema.json (draft
 * 07): name, description, icon, url, extract_size, extract_sha256,
 * image_download_size, release_date and devices are required.
 */
import { boards, type Model } from '../cluster/boards.ts'
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
}

/** A picture is required; an empty one in the file itself needs no server. */
const ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"

interface OsList {
  os_list: { name: string }[]
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
    // The node's settings are in the image already: Imager must not write its own over them.
    init_format: 'none',
    architecture: image.arch === 'arm64' ? 'armv8' : 'armhf',
    devices: [`${boards[image.model].imagerTag}-${image.arch === 'arm64' ? '64bit' : '32bit'}`],
  }))
  const names = new Set(added.map(({ name }) => name))
  const kept = before === undefined ? [] : parseOsList(before).filter(({ name }) => !names.has(name))
  return `${JSON.stringify({ os_list: [...kept, ...added] }, null, 2)}\n`
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
