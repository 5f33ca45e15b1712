/**
 * Files of GitHub releases: HypriotOS for 32 and 64 bits, and others.
 *
 * The project's own `.sha256` beside the file counts first. Where there is none,
 * the digest that GitHub makes of an asset when it is uploaded (since June 2025)
 * serves; older assets have none, and then the person must say.
 */
import { FetchError } from '../../errors.ts'
import { lockByHand, makeEntry, mustAgree, userStatement } from '../lock-entry.ts'
import type { LockedImage, Source } from '../locked-image.ts'
import { fileNameOf } from '../names.ts'
import type { Adapter, LockContext, LockRequest } from '../publisher.ts'
import { parseSidecar, SIDECAR_LIMIT } from '../sidecar.ts'

export interface GitHubPlaces {
  downloads: string
  api: string
}

export const gitHubPlaces: GitHubPlaces = { downloads: 'https://github.com', api: 'https://api.github.com' }

export function gitHubReleaseAdapter(places: GitHubPlaces = gitHubPlaces): Adapter {
  const read = (url: string) =>
    url.startsWith(`${places.downloads}/`)
      ? /^\/([^/]+)\/([^/]+)\/releases\/download\/([^/]+)\/[^/]+$/.exec(url.slice(places.downloads.length))
      : null
  return {
    name: 'github-release',
    matches: (url) => read(url) !== null,
    async lock(request, context) {
      const { url } = request
      const sidecarUrl = `${url}.sha256`
      const sidecar = await context.http.read(sidecarUrl, SIDECAR_LIMIT)
      if (sidecar !== undefined) {
        const sha256 = parseSidecar(sidecar, fileNameOf(url), sidecarUrl)
        return lockByDigest(request, context, sha256, { kind: 'publisher-sidecar', url: sidecarUrl })
      }
      const [, owner, repository, tag] = read(url) ?? []
      const apiUrl = `${places.api}/repos/${owner}/${repository}/releases/tags/${tag}`
      const sha256 = await assetDigest(context, apiUrl, fileNameOf(url))
      if (sha256 === undefined)
        return lockByHand(request, url, context, `${sidecarUrl} is not there and GitHub has no digest`)
      return lockByDigest(request, context, sha256, { kind: 'github-asset-digest', url: apiUrl })
    },
  }
}

async function lockByDigest(
  request: LockRequest,
  { http, today }: LockContext,
  sha256: string,
  source: Source & { url: string },
): Promise<LockedImage> {
  mustAgree(`sha256 of ${fileNameOf(request.url)}`, [
    { value: sha256, by: source.url },
    ...userStatement(request),
  ])
  const { size } = await http.head(request.url)
  return makeEntry(request, request.url, { size, sha256, source: { ...source, checked: today } }, null)
}

/** `digest` of the release's asset of that name: `sha256:<hex>`, or null for what was uploaded earlier. */
async function assetDigest({ http }: LockContext, apiUrl: string, name: string): Promise<string | undefined> {
  const bytes = await http.read(apiUrl, SIDECAR_LIMIT * 4)
  if (bytes === undefined) return undefined
  try {
    const { assets } = JSON.parse(new TextDecoder().decode(bytes)) as {
      assets: { name: string; digest: unknown }[]
    }
    const digest = assets.find((asset) => asset.name === name)?.digest
    return /^sha256:([0-9a-f]{64})$/.exec(typeof digest === 'string' ? digest : '')?.[1]
  } catch (cause) {
    throw new FetchError(`${apiUrl} is not a release as GitHub describes one`, { cause })
  }
}
