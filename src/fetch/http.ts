/**
 * HTTP(S) as a downloader needs it: proxies from the environment, redirects
 * that never lose encryption, no compression on the wire, and a limit on how
 * long nothing may happen. One request; retrying is ./download.ts.
 */
import type { Dispatcher } from 'undici'
import { FetchError } from '../errors.ts'

/** A request that failed, and whether asking again may help. */
export class HttpFailure extends FetchError {
  readonly retryable: boolean

  constructor(message: string, retryable: boolean, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options)
    this.retryable = retryable
  }
}

export interface HttpOptions {
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY and their lower-case forms. */
  env: Record<string, string | undefined>
  /** Until a connection stands; default 20 s. */
  connectTimeoutMs?: number
  /** Until the next byte, header or body; default 60 s. */
  stallTimeoutMs?: number
  /** Certificate authorities in PEM, in place of the system's. */
  ca?: string
}

export interface HttpResponse {
  status: number
  /** Names in lower case. */
  headers: Record<string, string | undefined>
  /** Every address asked, the given one first, the one that answered last. */
  addresses: string[]
  /** Read it to the end, or leave it by `break` or `discard`. Throws HttpFailure when it breaks off or stalls. */
  body: AsyncIterable<Uint8Array>
  discard(): void
}

export interface HttpRequest {
  method?: 'GET' | 'HEAD'
  headers?: Record<string, string>
  signal: AbortSignal
}

export interface Http {
  /**
   * @throws {HttpFailure} no connection, no answer in time, or a redirect that is not followed;
   *   a status is not a failure here
   */
  request(url: string, request: HttpRequest): Promise<HttpResponse>
  close(): Promise<void>
}

const MAX_REDIRECTS = 5

export function openHttp(options: HttpOptions): Http {
  const stallTimeoutMs = options.stallTimeoutMs ?? 60_000
  let opened: Promise<{ undici: typeof import('undici'); dispatcher: Dispatcher }> | undefined
  // Loaded at the first request: commands that stay at home don't pay for it.
  const open = () => {
    opened ??= import('undici').then((undici) => ({ undici, dispatcher: openDispatcher(undici, options) }))
    return opened
  }

  async function once(
    url: string,
    { method = 'GET', headers = {}, signal }: HttpRequest,
  ): Promise<HttpResponse> {
    const { undici, dispatcher } = await open()
    const stalled = new AbortController()
    const watch = stallWatch(stallTimeoutMs, () =>
      stalled.abort(new HttpFailure(`${shownUrl(url)} sent nothing for ${stallTimeoutMs / 1000} s`, true)),
    )
    const explain = (error: unknown): unknown => {
      if (signal.aborted) return signal.reason
      if (stalled.signal.aborted) return stalled.signal.reason
      return networkFailure(url, error)
    }
    watch.start()
    try {
      const answer = await undici.request(url, {
        method,
        dispatcher,
        headers: { 'user-agent': 'piimage', 'accept-encoding': 'identity', ...headers },
        signal: AbortSignal.any([signal, stalled.signal]),
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      watch.stop()
      // A body that is thrown away mid-way may still report an error.
      answer.body.on('error', () => {})
      return {
        status: answer.statusCode,
        headers: plainHeaders(answer.headers),
        addresses: [url],
        body: watchedBody(answer.body, watch, explain),
        discard: () => void answer.body.destroy(),
      }
    } catch (error) {
      watch.stop()
      throw explain(error)
    }
  }

  return {
    async request(url, request) {
      const addresses = [url]
      for (;;) {
        const at = addresses.at(-1) ?? url
        const response = await once(at, request)
        const location = response.headers.location
        if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) {
          return { ...response, addresses }
        }
        response.discard()
        if (addresses.length > MAX_REDIRECTS) {
          throw new HttpFailure(`${shownUrl(url)} redirects more than ${MAX_REDIRECTS} times`, false)
        }
        addresses.push(redirectTarget(at, location))
      }
    },
    async close() {
      if (opened !== undefined) await (await opened).dispatcher.destroy()
    },
  }
}

function openDispatcher(undici: typeof import('undici'), options: HttpOptions): Dispatcher {
  const { env } = options
  const tls = options.ca === undefined ? {} : { ca: options.ca }
  const timeout = options.connectTimeoutMs ?? 20_000
  return new undici.EnvHttpProxyAgent({
    // Empty text, not undefined: undici would ask process.env itself.
    httpProxy: env.http_proxy ?? env.HTTP_PROXY ?? '',
    httpsProxy: env.https_proxy ?? env.HTTPS_PROXY ?? '',
    noProxy: env.no_proxy ?? env.NO_PROXY ?? '',
    connect: { timeout, ...tls },
    requestTls: { timeout, ...tls },
    proxyTls: { timeout, ...tls },
    // Proxies commonly refuse CONNECT to port 80.
    proxyTunnel: false,
  })
}

/** @throws {HttpFailure} to a file, to another scheme, or from https to http */
function redirectTarget(from: string, location: string): string {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined
  const allowed = from.startsWith('https:') ? ['https:'] : ['https:', 'http:']
  if (target === undefined || !allowed.includes(target.protocol)) {
    throw new HttpFailure(
      `${shownUrl(from)} redirects to ${shownUrl(location)}, which is not followed`,
      false,
      {
        hint: 'From https only https is followed. If the publisher moved the file: piimage images lock with the new URL',
      },
    )
  }
  return target.href
}

interface StallWatch {
  start(): void
  stop(): void
}

function stallWatch(timeoutMs: number, stalled: () => void): StallWatch {
  let timer: NodeJS.Timeout | undefined
  const stop = () => clearTimeout(timer)
  const start = () => {
    stop()
    timer = setTimeout(stalled, timeoutMs)
  }
  return { start, stop }
}

/** The watch runs only while bytes are waited for, not while the reader is busy with them. */
async function* watchedBody(
  body: AsyncIterable<Uint8Array>,
  watch: StallWatch,
  explain: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      watch.start()
      const next = await chunks.next()
      watch.stop()
      if (next.done === true) return
      yield next.value
    }
  } catch (error) {
    throw explain(error)
  } finally {
    watch.stop()
    await chunks.return?.()
  }
}

/** Failures that the next attempt would meet again: a wrong certificate, a wrong name. */
const lasting = /CERT|SIGNATURE|ERR_TLS|ENOTFOUND|ERR_INVALID/

function networkFailure(url: string, error: unknown): HttpFailure {
  const { code, message } = error as { code?: unknown; message?: unknown }
  const reason =
    typeof code === 'string' && !code.startsWith('UND_ERR_SOCKET') ? `${code}: ${message}` : `${message}`
  const certificate = typeof code === 'string' && /CERT|SIGNATURE|ERR_TLS/.test(code)
  return new HttpFailure(
    `${shownUrl(url)} can't be read (${reason})`,
    !(typeof code === 'string' && lasting.test(code)),
    {
      hint: certificate
        ? 'The server is not who it claims to be, or a proxy stands between: give its certificate in NODE_EXTRA_CA_CERTS'
        : 'Check the network and HTTPS_PROXY, then run again: what has come so far is kept',
      cause: error,
    },
  )
}

function plainHeaders(
  headers: Record<string, string | string[] | undefined>,
): Record<string, string | undefined> {
  const plain: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(headers))
    plain[name] = Array.isArray(value) ? value.join(', ') : value
  return plain
}

/** A URL as it may be shown: without user name and password. */
export function shownUrl(url: string): string {
  return url.replace(/^([a-z]+:\/\/)[^/@]*@/i, '$1')
}
