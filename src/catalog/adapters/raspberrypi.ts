/**
 * Raspberry Pi OS, from downloads.raspberrypi.com.
 *
 * The publisher spreads the facts: the `.sha256` beside the image has the digest
 * of the download, the Imager's catalogue (current images only) has its size and
 * what is in it, and a detached signature over the image lies in `.sig`. All that
 * speak must agree; the signature must be by the one key we know.
 *
 * `…_latest` addresses are looked up now and never stored: they move.
 */
import { FetchError } from '../../errors.ts'
import { lockByHand, makeEntry, mustAgree, userStatement } from '../lock-entry.ts'
import type { Part, Source } from '../locked-image.ts'
import { fileNameOf, parseImageName } from '../names.ts'
import { findOsListEntry, type OsListEntry } from '../os-list.ts'
import type { Adapter, LockContext, LockRequest } from '../publisher.ts'
import { parseSidecar, SIDECAR_LIMIT } from '../sidecar.ts'
import { checkSignature } from '../signature.ts'

export interface RaspberryPiPlaces {
  /** Origin of the images. */
  downloads: string
  catalogue: string
  key: string
  /** Primary key fingerprint, 40 upper-case hex digits. */
  fingerprint: string
}

export const raspberryPiPlaces: RaspberryPiPlaces = {
  downloads: 'https://downloads.raspberrypi.com',
  catalogue: 'https://downloads.raspberrypi.com/os_list_imagingutility_v4.json',
  key: 'https://www.raspberrypi.org/raspberrypi_downloads.gpg.key',
  fingerprint: '54C3DD610D9D1B4AF82A37758738CD6B956F460C',
}

export function raspberryPiAdapter(places: RaspberryPiPlaces = raspberryPiPlaces): Adapter {
  return {
    name: 'raspberrypi',
    matches: (url) => canonical(url, places).startsWith(`${places.downloads}/`),
    async lock(request, context, task) {
      const { http, today } = context
      const { url, size } = await resolveUrl(http, canonical(request.url, places), places)
      const name = fileNameOf(url)
      const sidecarUrl = `${url}.sha256`
      const sidecar = await http.read(sidecarUrl, SIDECAR_LIMIT)
      if (sidecar === undefined) return lockByHand(request, url, context, `${sidecarUrl} is not there`)
      const sha256 = parseSidecar(sidecar, name, sidecarUrl)
      const entry = await findOsListEntry(http, places.catalogue, url)
      compare(name, request, { sha256, sidecarUrl, size, url }, entry)
      const download: Part = {
        size: size ?? entry?.downloadSize ?? null,
        sha256,
        source: { kind: 'publisher-sidecar', url: sidecarUrl, checked: today },
      }
      if (request.skipSignature !== true) {
        download.size = await checkSigned(url, download, context, places, task)
        download.source.signedBy = places.fingerprint
      }
      return makeEntry(request, url, download, entry === undefined ? null : extractedPart(entry, today))
    },
  }
}

/** The old host and plain http serve the same paths. */
function canonical(url: string, places: RaspberryPiPlaces): string {
  return url.replace(/^https?:\/\/downloads\.raspberrypi\.(org|com)(?=\/)/, places.downloads)
}

async function resolveUrl(
  http: LockContext['http'],
  asked: string,
  places: RaspberryPiPlaces,
): Promise<{ url: string; size: number | null }> {
  const { addresses, size } = await http.head(asked)
  const url = addresses
    .map((address) => canonical(address, places))
    .find((address) => address.startsWith(`${places.downloads}/`) && parseImageName(address) !== undefined)
  if (url !== undefined) return { url, size }
  throw new FetchError(`${asked} leads to no dated Raspberry Pi OS image, but to ${addresses.at(-1)}`, {
    hint: 'Give the address of the image file itself, which has its date in the name',
  })
}

function compare(
  name: string,
  request: LockRequest,
  said: { sha256: string; sidecarUrl: string; size: number | null; url: string },
  entry: OsListEntry | undefined,
): void {
  mustAgree(`sha256 of ${name}`, [
    { value: said.sha256, by: said.sidecarUrl },
    ...(entry?.downloadSha256 == null ? [] : [{ value: entry.downloadSha256, by: entry.listUrl }]),
    ...userStatement(request),
  ])
  mustAgree(`size of ${name} in bytes`, [
    ...(said.size === null ? [] : [{ value: said.size, by: `Content-Length of ${said.url}` }]),
    ...(entry === undefined ? [] : [{ value: entry.downloadSize, by: entry.listUrl }]),
  ])
  // Seen in other people's lists: one digest copied to both places.
  if (entry?.extractSha256 === said.sha256) {
    throw new FetchError(
      `${entry.listUrl} gives ${said.sha256} for the image in ${name}, which is the digest of the download`,
      {
        hint: 'Nothing was locked: one of the two was copied from the other',
      },
    )
  }
}

/** @returns the size of the file that was signed */
async function checkSigned(
  url: string,
  { sha256, size }: Part,
  { http }: LockContext,
  places: RaspberryPiPlaces,
  task: Parameters<Adapter['lock']>[2],
): Promise<number> {
  const signatureUrl = `${url}.sig`
  const [signature, key] = [
    await http.read(signatureUrl, SIDECAR_LIMIT),
    await http.read(places.key, SIDECAR_LIMIT),
  ]
  const absent = signature === undefined ? signatureUrl : places.key
  if (signature === undefined || key === undefined) {
    throw new FetchError(`${absent} is not there, so the signature of ${fileNameOf(url)} can't be checked`, {
      hint: 'To lock it by its .sha256 alone: --no-signature',
    })
  }
  const file = await http.file(url, { sha256, size })
  await checkSignature(
    {
      path: file.path,
      subject: fileNameOf(url),
      signature: { bytes: signature, url: signatureUrl },
      key: { bytes: key, url: places.key },
      fingerprint: places.fingerprint,
    },
    task,
  )
  return file.size
}

function extractedPart(entry: OsListEntry, today: string): Part {
  const source: Source = { kind: 'publisher-catalog', url: entry.listUrl, checked: today }
  return { size: entry.extractSize, sha256: entry.extractSha256, source }
}
