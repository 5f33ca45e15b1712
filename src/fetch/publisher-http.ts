/** What a lock adapter may ask of the network (catalog/publisher.ts), over our HTTP and into our cache. */
import type { PublisherHttp } from '../catalog/publisher.ts'
import { FetchError } from '../errors.ts'
import type { Task } from '../progress.ts'
import type { Cache } from './cache.ts'
import { type FetchOptions, fetchUnlocked } from './fetch-image.ts'
import { HttpFailure, type HttpResponse, shownUrl } from './http.ts'
import { defaultRetry, retrying } from './retry.ts'

export function openPublisherHttp(cache: Cache, options: FetchOptions, task: Task): PublisherHttp {
  const { http, offline, retry = defaultRetry } = options
  const { signal } = task

  const refuseOffline = (url: string): void => {
    if (!offline || url.startsWith('file:')) return
    throw new FetchError(`${shownUrl(url)} must be asked, and --offline forbids it`, {
      hint: 'Lock images with a network; a locked and cached image is then used without one',
    })
  }

  async function ask<T>(
    url: string,
    method: 'GET' | 'HEAD',
    use: (answer: HttpResponse) => Promise<T>,
  ): Promise<T> {
    refuseOffline(url)
    return retrying(retry, signal, async () => {
      const answer = await http.request(url, { method, signal })
      try {
        return await use(answer)
      } finally {
        answer.discard()
      }
    })
  }

  return {
    head: (url) =>
      ask(url, 'HEAD', async ({ status, headers, addresses }) => {
        refuseStatus(url, status)
        const length = headers['content-length']
        return { addresses, size: length !== undefined && /^\d+$/.test(length) ? Number(length) : null }
      }),
    read: (url, limit) =>
      ask(url, 'GET', async (answer) => {
        if (answer.status === 404 || answer.status === 410) return undefined
        refuseStatus(url, answer.status)
        return readWhole(url, answer, limit)
      }),
    file: async (url, expected) => {
      refuseOffline(url)
      return fetchUnlocked(url, expected, cache, options, task)
    },
  }
}

function refuseStatus(url: string, status: number): void {
  if (status === 200) return
  throw new HttpFailure(`${shownUrl(url)} answers ${status}`, status === 429 || status >= 500, {
    hint:
      status === 404
        ? 'Look up the address at the publisher; names and dates in it change'
        : 'Try again later',
  })
}

async function readWhole(url: string, answer: HttpResponse, limit: number): Promise<Uint8Array> {
  const encoding = answer.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HttpFailure(`${shownUrl(url)} is sent with Content-Encoding ${encoding}`, false)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body) {
    size += chunk.length
    if (size > limit) throw new HttpFailure(`${shownUrl(url)} has more than ${limit} bytes`, false)
    chunks.push(chunk)
  }
  const length = answer.headers['content-length']
  if (length !== undefined && Number(length) !== size) {
    throw new HttpFailure(`${shownUrl(url)} ended after ${size} of ${length} bytes`, true)
  }
  return Buffer.concat(chunks)
}
