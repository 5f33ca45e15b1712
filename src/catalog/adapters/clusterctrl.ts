/**
 * ClusterHAT and ClusterCTRL images of 8086 Consultancy. They are published
 * without any checksum, under four naming schemes (../names.ts) on three hosts,
 * so the first lock needs --sha256 or --trust-first-use, and says so.
 */
import { UsageError } from '../../errors.ts'
import { lockByHand } from '../lock-entry.ts'
import { fileNameOf, parseImageName } from '../names.ts'
import type { Adapter } from '../publisher.ts'

const host = /^https?:\/\/dist[12]?\.8086\.net\//

/** @param origin of a test's server, in place of 8086's */
export function clusterCtrlAdapter(origin?: string): Adapter {
  return {
    name: 'clusterctrl',
    matches: (url) => (origin === undefined ? host.test(url) : url.startsWith(`${origin}/`)),
    async lock(request, context) {
      if (parseImageName(request.url)?.os !== 'clusterctrl' && request.key === undefined) {
        throw new UsageError(
          `${fileNameOf(request.url)} follows no naming scheme of ClusterHAT or ClusterCTRL`,
          {
            hint: 'Such as 2025-11-24-1-bookworm-ClusterCTRL-arm64-lite-CBRIDGE.img.xz; or name it with --key',
          },
        )
      }
      return lockByHand(request, request.url, context, '8086 publishes no checksums')
    },
  }
}
