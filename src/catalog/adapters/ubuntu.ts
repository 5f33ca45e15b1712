/** Ubuntu's preinstalled Pi images, from cdimage.ubuntu.com: one SHA256SUMS beside all files of a folder. */
import { lockByHand, makeEntry, mustAgree, userStatement } from '../lock-entry.ts'
import { fileNameOf } from '../names.ts'
import type { Adapter } from '../publisher.ts'
import { parseSidecar, SIDECAR_LIMIT } from '../sidecar.ts'

/** @param origin of Ubuntu's server */
export function ubuntuAdapter(origin = 'https://cdimage.ubuntu.com'): Adapter {
  // Their pages link with http; the checksums must not come that way.
  const canonical = (url: string) => url.replace(/^http:\/\/cdimage\.ubuntu\.com(?=\/)/, origin)
  return {
    name: 'ubuntu',
    matches: (url) => canonical(url).startsWith(`${origin}/`),
    async lock(request, context) {
      const { http, today } = context
      const url = canonical(request.url)
      const name = fileNameOf(url)
      const sumsUrl = new URL('SHA256SUMS', url).href
      const sums = await http.read(sumsUrl, SIDECAR_LIMIT)
      if (sums === undefined) return lockByHand(request, url, context, `${sumsUrl} is not there`)
      const sha256 = parseSidecar(sums, name, sumsUrl)
      mustAgree(`sha256 of ${name}`, [{ value: sha256, by: sumsUrl }, ...userStatement(request)])
      const { size } = await http.head(url)
      const source = { kind: 'publisher-sidecar', url: sumsUrl, checked: today } as const
      return makeEntry(request, url, { size, sha256, source }, null)
    },
  }
}
