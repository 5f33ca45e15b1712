/** URL → an entry for the lock, by whichever publisher the URL belongs to. A publisher is added by adding a line. */
import { UsageError } from '../errors.ts'
import type { Task } from '../progress.ts'
import { clusterCtrlAdapter } from './adapters/clusterctrl.ts'
import { gitHubReleaseAdapter } from './adapters/github-release.ts'
import { plainAdapter } from './adapters/plain.ts'
import { raspberryPiAdapter } from './adapters/raspberrypi.ts'
import { ubuntuAdapter } from './adapters/ubuntu.ts'
import type { LockedImage } from './locked-image.ts'
import type { Adapter, LockContext, LockRequest } from './publisher.ts'

/** The first that matches is asked; `plain` matches everything. */
export const adapters: readonly Adapter[] = [
  raspberryPiAdapter(),
  gitHubReleaseAdapter(),
  clusterCtrlAdapter(),
  ubuntuAdapter(),
  plainAdapter,
]

/** The schema's rule for keys. */
const keyPattern = /^[a-z0-9][a-z0-9.+-]*@[A-Za-z0-9][A-Za-z0-9.+-]*$/

/**
 * Ask the publisher what `request.url` is.
 * @throws {UsageError} a key, digest or address that can't be one; or no digest from anybody
 * @throws {FetchError} the publisher can't be asked, or its answers disagree
 */
export async function lockImage(
  request: LockRequest,
  context: LockContext,
  task: Task,
  from: readonly Adapter[] = adapters,
): Promise<LockedImage> {
  const sha256 = request.sha256?.toLowerCase()
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new UsageError(`--sha256 ${request.sha256} is not 64 hex digits`)
  }
  if (!/^(https?:\/\/[^\s/]|file:(\/\/\/|\/[^/\s]|[^/\s]))/.test(request.url)) {
    throw new UsageError(
      `${JSON.stringify(request.url)} is neither an address (https:, http:, file:) nor the name of a known image, and there is no such file`,
    )
  }
  if (request.key !== undefined) refuseBadKey(request.key)
  const adapter = from.find(({ matches }) => matches(request.url))
  if (adapter === undefined) throw new UsageError(`no publisher is known for ${request.url}`)
  const image = await adapter.lock({ ...request, sha256 }, context, task)
  refuseBadKey(image.key)
  return image
}

function refuseBadKey(key: string): void {
  if (keyPattern.test(key)) return
  throw new UsageError(`${JSON.stringify(key)} is not a valid image key`, {
    hint: '<os>-<release>-<arch>-<variant>@<version>, for example raspios-trixie-arm64-lite@2026-06-18',
  })
}
