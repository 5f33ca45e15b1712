/** A publisher on this machine: files by path, redirects by path, over https, and a key of its own. */
import type { TestContext } from 'node:test'
import { lockImage } from '../../src/catalog/lock-image.ts'
import type { LockedImage } from '../../src/catalog/locked-image.ts'
import type { Adapter, LockRequest } from '../../src/catalog/publisher.ts'
import { type Cache, openCache } from '../../src/fetch/cache.ts'
import { openPublisherHttp } from '../../src/fetch/publisher-http.ts'
import {
  eager,
  makeCertificate,
  openTestHttp,
  quiet,
  sendFile,
  serve,
  type TestServer,
} from '../fetch/support.ts'
import { tempFolder } from '../support/temp.ts'

export interface Publisher {
  server: TestServer
  cache: Cache
  /** Change them between requests to publish something else. */
  files: Map<string, Buffer | string>
  /** Path → address. */
  redirects: Map<string, string>
  lock(adapter: Adapter, request: Partial<LockRequest> & { url: string }): Promise<LockedImage>
}

/** @returns undefined when openssl is missing and that was allowed */
export async function openPublisher(t: TestContext): Promise<Publisher | undefined> {
  const folder = tempFolder(t)
  const tls = makeCertificate(t, folder)
  if (tls === undefined) return undefined
  const files: Publisher['files'] = new Map()
  const redirects: Publisher['redirects'] = new Map()
  const server = await serve(
    t,
    (request, response) => {
      const path = request.url ?? ''
      const file = files.get(path)
      const location = redirects.get(path)
      if (location !== undefined) response.writeHead(302, { location }).end()
      else if (file === undefined) response.writeHead(404).end('not here')
      else sendFile(request, response, Buffer.from(file))
    },
    tls,
  )
  const cache = await openCache(`${folder}/cache`)
  const http = openTestHttp({ ca: tls.cert })
  const publisherHttp = openPublisherHttp(cache, { http, offline: false, retry: eager }, quiet())
  return {
    server,
    cache,
    files,
    redirects,
    lock: (adapter, request) =>
      lockImage(
        { trustFirstUse: false, lockFile: `${folder}/images.lock.json`, ...request },
        { http: publisherHttp, today: '2026-11-20' },
        quiet(),
        [adapter],
      ),
  }
}
