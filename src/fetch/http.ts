/**
 * HTTP(S) as a downloader needs it: proxies from the environment, redirects
 * that never lose encryption, no compression on the wire, and a limit on how
 * long nothing may happen. One request; retrying is ./retry.ts.
 *
 * Built on node:http, one connection per request. undici 7, the last for
 * Node 20, ends the whole process when a server closes its connection while
 * the reader is busy; downloads meet that every day.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type ErrorOptions, FetchError, PiimageError } from '../errors.ts'
import { type Environment, openTunnel, proxyFor, proxyHeaders } from './proxy.ts'

/** A request that failed, and whether asking again may help. */
export class HttpFailure extends FetchError {
  readonly retryable: boolean

  constructor(message: string, retryable: boolean, options: ErrorOptions = {}) {
    super(message, options)
    this.retryable = retryable
  }
}

export interface HttpOptions {
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY and their lower-case forms. */
  env: Environment
  /** Until a connection stands; default 20 s. */
  connectTimeoutMs?: number
  /** Until the header, and between one 4 KiB of the body and the next; default 60 s. */
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
}

const MAX_REDIRECTS = 5

export function openHttp(options: HttpOptions): Http {
  return {
    async request(url, request) {
      const addresses = [url]
      for (;;) {
        const at = addresses.at(-1) ?? url
        const response = await requestOnce(at, request, options)
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
  }
}

async function requestOnce(url: string, request: HttpRequest, options: HttpOptions): Promise<HttpResponse> {
  const { signal } = request
  const { connectTimeoutMs = 20_000, stallTimeoutMs = 60_000 } = options
  const stop = new AbortController()
  const watch = openWatch((message) => stop.abort(new HttpFailure(`${shownUrl(url)} ${message}`, true)))
  const silent = () => watch.start(stallTimeoutMs, `sent nothing for ${stallTimeoutMs / 1000} s`)
  const crawls = (leftMs: number) =>
    watch.start(leftMs, `sent less than ${LEAST_BYTES} bytes in ${stallTimeoutMs / 1000} s`)
  const explain = (error: unknown): unknown => {
    if (signal.aborted) return signal.reason
    if (stop.signal.aborted) return stop.signal.reason
    return error instanceof PiimageError ? error : networkFailure(url, error)
  }
  watch.start(connectTimeoutMs, `could not be connected to in ${connectTimeoutMs / 1000} s`)
  try {
    const answer = await send(url, request, options, AbortSignal.any([signal, stop.signal]), silent)
    watch.stop()
    // A body that is thrown away mid-way may still report an error.
    answer.on('error', () => {})
    return {
      status: answer.statusCode ?? 0,
      headers: plainHeaders(answer.headers),
      addresses: [url],
      body: watchedBody(answer, stallTimeoutMs, { start: crawls, stop: watch.stop }, explain),
      discard: () => void answer.destroy(),
    }
  } catch (error) {
    watch.stop()
    throw explain(error)
  }
}

/** @param connected called when the connection stands and the answer is waited for */
async function send(
  url: string,
  { method = 'GET', headers = {} }: HttpRequest,
  { env, ca }: HttpOptions,
  signal: AbortSignal,
  connected: () => void,
): Promise<IncomingMessage> {
  const target = new URL(url)
  const secure = target.protocol === 'https:'
  const proxy = proxyFor(target, env)
  const tunnel = secure && proxy !== undefined ? await openTunnel(proxy, target, ca, signal) : undefined
  const common = {
    method,
    headers: { 'user-agent': 'piimage', 'accept-encoding': 'identity', ...headers },
    agent: false,
    signal,
    ca,
    createConnection: tunnel === undefined ? undefined : () => tunnel,
  } as const
  return new Promise((resolve, reject) => {
    const request =
      proxy === undefined || secure
        ? (secure ? httpsRequest : httpRequest)(target, common)
        : (proxy.protocol === 'https:' ? httpsRequest : httpRequest)(proxy, {
            ...common,
            path: shownUrl(target.href.replace(/#.*$/, '')),
            headers: { ...common.headers, host: target.host, ...proxyHeaders(proxy) },
          })
    request.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', connected)
      else connected()
    })
    request.once('response', resolve)
    request.on('error', reject)
    request.end()
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

interface Watch {
  start(timeoutMs: number, message: string): void
  stop(): void
}

/** One timer; starting it again forgets what it was started for before. */
function openWatch(expired: (message: string) => void): Watch {
  let timer: NodeJS.Timeout | undefined
  return {
    start(timeoutMs, message) {
      clearTimeout(timer)
      timer = setTimeout(expired, timeoutMs, message)
    },
    stop: () => clearTimeout(timer),
  }
}

/** A server that gives less than this at a time, and takes its time, is as good as silent. */
const LEAST_BYTES = 4096

/** The watch runs only while bytes are waited for, not while the reader is busy with them. */
async function* watchedBody(
  body: AsyncIterable<Uint8Array>,
  timeoutMs: number,
  watch: { start: (leftMs: number) => void; stop: () => void },
  explain: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]()
  let [leftMs, gathered] = [timeoutMs, 0]
  try {
    for (;;) {
      watch.start(leftMs)
      const since = performance.now()
      const next = await chunks.next()
      watch.stop()
      if (next.done === true) return
      leftMs = Math.max(0, leftMs - (performance.now() - since))
      gathered += next.value.length
      if (gathered >= LEAST_BYTES) [leftMs, gathered] = [timeoutMs, 0]
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
  const { code, message, errors } = error as { code?: unknown; message?: string; errors?: Error[] }
  // Several addresses of one name, each refused: the first speaks for all.
  const said = message || errors?.[0]?.message || String(code)
  const name = typeof code === 'string' ? code : ''
  const certificate = /CERT|SIGNATURE|ERR_TLS/.test(name)
  return new HttpFailure(
    `${shownUrl(url)} can't be read (${name === '' || said.includes(name) ? said : `${name}: ${said}`})`,
    !lasting.test(name),
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
