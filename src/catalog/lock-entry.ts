/** Steps that the adapters share: naming an entry, comparing what two sources say, and locking without a publisher's word. */
import { DigestError } from '../digest.ts'
import { FetchError, UsageError } from '../errors.ts'
import { resolveAddresses } from './lock.ts'
import type { LockedImage, Part } from './locked-image.ts'
import { fileNameOf, formatKey, formatOfName, type ImageName, parseImageName, parseKey } from './names.ts'
import type { LockContext, LockRequest } from './publisher.ts'

/**
 * What the image is: its file name says it, or the key given by hand.
 * @throws {UsageError} neither does
 */
export function nameImage(request: LockRequest, url: string): ImageName {
  const named = parseImageName(url)
  if (named !== undefined) return named
  const file = fileNameOf(url)
  const format = formatOfName(file)?.format
  if (format === undefined) {
    throw new UsageError(`${JSON.stringify(file)} doesn't say how the image is packed`, {
      hint: 'Use an address that ends in .img.xz, .img.gz, .img.zst, .zip, .tar.xz or .img',
    })
  }
  const keyed = request.key === undefined ? undefined : parseKey(request.key)
  if (keyed === undefined && request.ownFile === true) return { ...nameOwnFile(file, request), format }
  if (keyed === undefined) {
    throw new UsageError(`${JSON.stringify(file)} doesn't say which system it is`, {
      hint: 'Name it: --key <os>-<release>-<armhf|arm64>-<variant>@<version>, for example other-arm64-lite@1',
    })
  }
  return { ...keyed, format }
}

/** A file of the person's own: what is in it is told by what it holds, its architecture by its name alone. */
function nameOwnFile(file: string, { sha256 = '' }: LockRequest): Omit<ImageName, 'format'> {
  const stem = file.replace(/\.(?:img|zip|xz|gz|zst|tar)\b/g, '').toLowerCase()
  const variant = stem.replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '') || 'image'
  const arch = /arm64|aarch64|64-?bit/.test(stem) ? 'arm64' : 'armhf'
  return { os: 'other', release: null, version: sha256.slice(0, 8), arch, variant }
}

export function makeEntry(
  request: LockRequest,
  url: string,
  download: Part,
  extracted: Part | null,
): LockedImage {
  const name = nameImage(request, url)
  const addresses = resolveAddresses(url, undefined, request.lockFile)
  return { key: request.key ?? formatKey(name), ...name, ...addresses, download, extracted }
}

/** One value and who says it. */
export interface Statement {
  value: string | number
  by: string
}

/** @throws {FetchError} two of them differ; shows both, and who said which */
export function mustAgree(what: string, statements: readonly Statement[]): void {
  const [first] = statements
  const other = statements.find(({ value }) => value !== first?.value)
  if (first === undefined || other === undefined) return
  throw new FetchError(`${what}: ${first.by} says ${first.value}; ${other.by} says ${other.value}`, {
    hint: 'Nothing was locked. Try again later: the publisher may be between two releases; if it stays, tell them',
  })
}

/** The person's --sha256 as one statement among others; none when it wasn't given. */
export function userStatement(request: LockRequest): Statement[] {
  return request.sha256 === undefined ? [] : [{ value: request.sha256, by: '--sha256' }]
}

/**
 * Lock what its publisher says nothing about: by --sha256, or by what comes
 * at first use.
 * @param why the sentence for the error: who says no digest
 * @throws {UsageError} the request has neither
 */
export async function lockByHand(
  request: LockRequest,
  url: string,
  { http, today }: LockContext,
  why: string,
): Promise<LockedImage> {
  const { url: address } = resolveAddresses(url, undefined, request.lockFile)
  nameImage(request, url)
  if (request.sha256 !== undefined) {
    // A file that is here is looked at now; what lies elsewhere is checked when it is fetched.
    const local = address.startsWith('file:') ? await http.file(address, { size: null }) : undefined
    if (local !== undefined && local.sha256 !== request.sha256) {
      throw new DigestError(local.path, request.sha256, local.sha256, {
        saidBy: '--sha256',
        hint: 'Nothing was locked. Compare both with what its publisher says',
      })
    }
    const size = local?.size ?? (await http.head(address)).size
    const source = { kind: 'user', checked: today } as const
    return makeEntry(request, url, { size: size === 0 ? null : size, sha256: request.sha256, source }, null)
  }
  if (!request.trustFirstUse) {
    throw new UsageError(`${why}, so nothing says what ${fileNameOf(url)} should be`, {
      hint: 'Give --sha256 HEX, or accept what comes now with --trust-first-use',
    })
  }
  const { size, sha256 } = await http.file(address, { size: null })
  const source = { kind: 'computed', detail: 'hashed when it was first downloaded', checked: today } as const
  return makeEntry(request, url, { size, sha256, source }, null)
}
