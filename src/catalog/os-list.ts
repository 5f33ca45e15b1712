/**
 * Raspberry Pi Imager's catalogue (`os_list_imagingutility_v4.json`): for each
 * image its address, the size of the download, and size and sha256 of the image
 * in it. For Raspberry Pi OS it has no digest of the download.
 *
 * Entries nest by `subitems` in the same file and `subitems_url` in others.
 * Only files of the catalogue's own origin are followed: another vendor's list
 * can't vouch for a Raspberry Pi image.
 *
 * Source: rpi-imager, doc/json-schema/os-list-schema.json.
 */
import { FetchError } from '../errors.ts'
import { mustAgree } from './lock-entry.ts'
import type { PublisherHttp } from './publisher.ts'

export interface OsListEntry {
  url: string
  /** Where it stands. */
  listUrl: string
  /** Bytes of the download. */
  downloadSize: number
  downloadSha256: string | null
  extractSize: number
  extractSha256: string
}

const LIST_LIMIT = 16 * 1024 * 1024
const MAX_LISTS = 30
const MAX_DEPTH = 10

/**
 * The entry whose address is exactly `imageUrl`; undefined: the catalogue has none (it lists current images only).
 * @throws {FetchError} no catalogue, not JSON, an entry without its figures, or two entries that disagree
 */
export async function findOsListEntry(
  http: PublisherHttp,
  catalogueUrl: string,
  imageUrl: string,
): Promise<OsListEntry | undefined> {
  const lists = [catalogueUrl]
  const found: OsListEntry[] = []
  for (let index = 0; index < lists.length && index < MAX_LISTS && found.length === 0; index += 1) {
    const listUrl = lists[index] as string
    const list = await readList(http, listUrl)
    for (const item of items(list, 0)) {
      if (item.url === imageUrl) found.push(readEntry(item, listUrl, imageUrl))
      const next = sameOrigin(item.subitems_url, listUrl)
      if (next !== undefined && !lists.includes(next)) lists.push(next)
    }
  }
  for (const field of ['downloadSize', 'extractSize', 'extractSha256', 'downloadSha256'] as const) {
    mustAgree(
      `${field} of ${imageUrl}`,
      found.map((entry, index) => ({
        value: String(entry[field]),
        by: `entry ${index + 1} of ${entry.listUrl}`,
      })),
    )
  }
  return found[0]
}

async function readList(http: PublisherHttp, url: string): Promise<unknown> {
  const bytes = await http.read(url, LIST_LIMIT)
  if (bytes === undefined) throw new FetchError(`the catalogue ${url} is not there`)
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new FetchError(`the catalogue ${url} is not JSON`, { cause })
  }
}

type Item = Record<string, unknown>

/** Every object in `os_list` and, below it, in `subitems`. */
function* items(list: unknown, depth: number): Generator<Item> {
  const { os_list: top, subitems } = (list ?? {}) as Item
  const children = depth === 0 ? top : subitems
  if (!Array.isArray(children) || depth > MAX_DEPTH) return
  for (const child of children) {
    if (typeof child !== 'object' || child === null) continue
    yield child as Item
    yield* items(child, depth + 1)
  }
}

function sameOrigin(url: unknown, base: string): string | undefined {
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined
  return new URL(url).origin === new URL(base).origin ? url : undefined
}

function readEntry(item: Item, listUrl: string, url: string): OsListEntry {
  const size = (name: string): number => {
    const value = item[name]
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
    throw badField(name, value)
  }
  const digest = (name: string): string => {
    const value = item[name]
    if (typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase()
    throw badField(name, value)
  }
  const badField = (name: string, value: unknown) =>
    new FetchError(`${listUrl} gives ${name} of ${url} as ${JSON.stringify(value) ?? 'nothing'}`)
  return {
    url,
    listUrl,
    downloadSize: size('image_download_size'),
    downloadSha256: item.image_download_sha256 === undefined ? null : digest('image_download_sha256'),
    extractSize: size('extract_size'),
    extractSha256: digest('extract_sha256'),
  }
}
