/**
 * URL → a whole file beside its final name, hashed on the way.
 *
 * An attempt that breaks off is followed by another that asks for the rest
 * (`Range`) of the same version (`If-Range`); a server that has another version,
 * or knows no ranges, answers with the whole file, and we start from 0. Bytes
 * stay in the partial file between runs. Nothing here decides whether the bytes
 * are the right ones: the caller compares the digest.
 */
import { FetchError } from '../errors.ts'
import type { Watermark } from '../io/watermark.ts'
import type { Task } from '../progress.ts'
import { GiB } from '../units.ts'
import { type Http, HttpFailure, type HttpResponse, shownUrl } from './http.ts'
import { openPartialFile, type PartialFile, type Version } from './partial-file.ts'
import { defaultRetry, type RetryPolicy, retrying } from './retry.ts'

export interface DownloadRequest {
  /** The address, then its mirrors. */
  urls: readonly string[]
  /** Where the bytes are gathered. */
  partial: string
  /** How many bytes it should have; null: nobody has said it. */
  size: number | null
  /** Who says so; by default the lock. */
  sizeSaidBy?: string
  /** For progress and messages. */
  subject: string
  /** Rises with the bytes from the start that are in `partial`; not while bytes of earlier runs are among them. */
  arrived?: Watermark
}

export interface Downloaded {
  sha256: string
  size: number
  url: string
  /** Whether bytes of an earlier run are in it. */
  resumed: boolean
}

/** The way round a network that is not there, or a publisher who is gone. */
export const OWN_FILE_HINT = 'An image that you have as a file needs no network: piimage images lock FILE'

/** No image of a Pi comes near; a server that never ends must not fill the disk. */
const SIZE_LIMIT = 64 * GiB

/**
 * @returns what was gathered in `request.partial`; it stays there
 * @throws {FetchError} no address gave a whole file; or the disk refused it
 */
export async function download(
  request: DownloadRequest,
  http: Http,
  task: Task,
  retry: RetryPolicy = defaultRetry,
): Promise<Downloaded> {
  const failures: HttpFailure[] = []
  const file = await openPartialFile(request.partial, task, request.subject)
  try {
    for (const url of request.urls) {
      try {
        await retrying(
          retry,
          task.signal,
          () => attempt(url, request, file, http, task),
          () => file.size,
        )
        const { size, resumed } = file
        return { sha256: await file.finish(), size, url, resumed }
      } catch (error) {
        if (!(error instanceof HttpFailure)) throw error
        failures.push(error)
      }
    }
  } finally {
    await file.close()
  }
  const [first] = failures
  if (first === undefined) throw new Error('download without an address')
  const hint = [first.hint ?? [], OWN_FILE_HINT].flat()
  if (failures.length === 1) throw new HttpFailure(first.message, first.retryable, { hint, cause: first })
  throw new FetchError(
    `no address has ${request.subject}: ${failures.map((failure) => failure.message).join('; ')}`,
    { hint, cause: first },
  )
}

/** One request for what is missing, and its bytes. */
async function attempt(
  url: string,
  request: DownloadRequest,
  file: PartialFile,
  http: Http,
  task: Task,
): Promise<void> {
  task.signal.throwIfAborted()
  const known = file.version?.url === url && file.size > 0 ? file.version : null
  // Whole already: stopped between the last byte and the rename.
  if (known !== null && known.totalBytes === file.size) return
  const headers: Record<string, string> =
    known?.validator == null ? {} : { range: `bytes=${file.size}-`, 'if-range': known.validator }
  const response = await http.request(url, { headers, signal: task.signal })
  try {
    const version = readAnswer(url, request, file, known, response)
    if (response.status === 200) {
      await file.restart(version)
      request.arrived?.restart()
    }
    await gather(url, request, file, version.totalBytes, response, task)
  } catch (error) {
    response.discard()
    if (error instanceof OtherVersion) {
      await file.restart({ url, validator: null, totalBytes: null })
      throw new HttpFailure(error.message, true)
    }
    throw error
  }
}

/** The server can't give the rest of what we have: start afresh. */
class OtherVersion extends Error {}

/** @throws {HttpFailure | OtherVersion} the answer is not the file, or not the rest of it */
function readAnswer(
  url: string,
  request: DownloadRequest,
  file: PartialFile,
  known: Version | null,
  { status, headers }: HttpResponse,
): Version {
  const shown = shownUrl(url)
  if (status === 416 && known !== null) throw new OtherVersion(`${shown} has no bytes from ${file.size}`)
  if (status !== 200 && status !== 206) throw statusFailure(shown, status)
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HttpFailure(
      `${shown} is sent with Content-Encoding ${encoding}, though we asked for the bytes as they are`,
      false,
      {
        hint: 'A proxy or a wrongly set-up mirror compresses on the wire; use another address',
      },
    )
  }
  const totalBytes = status === 206 ? rangeTotal(shown, file.size, headers) : lengthOf(headers)
  const validator = validatorOf(headers)
  if (
    status === 206 &&
    known !== null &&
    (changed(known.validator, validator) || changed(known.totalBytes, totalBytes))
  ) {
    throw new OtherVersion(`${shown} changed between two ranges`)
  }
  if (totalBytes !== null && request.size !== null && totalBytes !== request.size) {
    throw new HttpFailure(
      `${shown} announces ${totalBytes} bytes; ${request.sizeSaidBy ?? 'images.lock.json'} says ${request.size}`,
      false,
      {
        hint: 'The publisher or the mirror changed the file. See what is published now: piimage images lock URL',
      },
    )
  }
  return { url, validator, totalBytes }
}

const changed = <T>(before: T | null, now: T | null): boolean =>
  before !== null && now !== null && before !== now

function statusFailure(shown: string, status: number): HttpFailure {
  const retryable = status === 408 || status === 425 || status === 429 || status >= 500
  const gone = status === 404 || status === 410
  return new HttpFailure(`${shown} answers ${status}`, retryable, {
    hint: gone
      ? 'The publisher removed or moved it. Lock a newer image: piimage images lock URL'
      : 'Run again later: what has come so far is kept',
  })
}

/** Total of `Content-Range: bytes 100-199/200`. */
function rangeTotal(shown: string, start: number, headers: HttpResponse['headers']): number | null {
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '')
  if (range === null || Number(range[1]) !== start) {
    throw new OtherVersion(
      `${shown} was asked for bytes from ${start} and sends ${headers['content-range'] ?? 'others'}`,
    )
  }
  return range[3] === '*' ? null : Number(range[3])
}

function lengthOf(headers: HttpResponse['headers']): number | null {
  const length = headers['content-length']
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : null
}

/** What If-Range accepts: a strong ETag, else the date. */
function validatorOf(headers: HttpResponse['headers']): string | null {
  const etag = headers.etag
  return etag?.startsWith('"') === true ? etag : (headers['last-modified'] ?? null)
}

async function gather(
  url: string,
  request: DownloadRequest,
  file: PartialFile,
  announced: number | null,
  response: HttpResponse,
  task: Task,
): Promise<void> {
  const totalBytes = announced ?? request.size
  for await (const chunk of response.body) {
    if (file.size + chunk.length > (totalBytes ?? SIZE_LIMIT)) {
      await file.restart({ url, validator: null, totalBytes: null })
      throw new HttpFailure(`${shownUrl(url)} sends more than ${totalBytes ?? SIZE_LIMIT} bytes`, false)
    }
    await file.append(chunk)
    if (!file.resumed) request.arrived?.raise(file.size)
    task.report({ phase: 'download', subject: request.subject, bytes: file.size, totalBytes })
  }
  if (totalBytes !== null && file.size < totalBytes) {
    throw new HttpFailure(`${shownUrl(url)} ended after ${file.size} of ${totalBytes} bytes`, true)
  }
}
