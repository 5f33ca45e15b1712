/** Servers that behave as publishers do, or misbehave, on this machine; and what every fetch test needs. */
import { createCipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { LockedImage } from '../../src/catalog/locked-image.ts'
import { type Http, type HttpOptions, openHttp } from '../../src/fetch/http.ts'
import type { Task } from '../../src/progress.ts'
import { needTool, run } from '../support/tools.ts'

/** Bytes that look random and are always the same. */
export function noise(length: number, seed = 0): Buffer {
  const key = Buffer.alloc(16, seed)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

export const quiet = (signal: AbortSignal = new AbortController().signal): Task => ({ report() {}, signal })

/** No test waits: failures follow at once. */
export const eager = { attempts: 4, firstDelayMs: 1, maxDelayMs: 1 }

export function openTestHttp(options: Partial<HttpOptions> = {}): Http {
  return openHttp({ env: {}, stallTimeoutMs: 5_000, ...options })
}

export function lockedImage(url: string, bytes: Uint8Array, changes: Partial<LockedImage> = {}): LockedImage {
  return {
    key: 'raspios-trixie-arm64-lite@1',
    os: 'raspios',
    release: 'trixie',
    version: '1',
    arch: 'arm64',
    variant: 'lite',
    url,
    format: 'xz',
    download: { size: bytes.length, sha256: sha256(bytes), source: { kind: 'user' } },
    extracted: null,
    ...changes,
  }
}

export interface Asked {
  method: string
  url: string
  headers: IncomingMessage['headers']
}

export interface TestServer {
  origin: string
  port: number
  /** What was asked, in order. */
  asked: Asked[]
}

/** @param tls PEM key and certificate: an HTTPS server */
export async function serve(
  t: TestContext,
  listener: RequestListener,
  tls?: { key: string; cert: string },
): Promise<TestServer> {
  const asked: Asked[] = []
  const record: RequestListener = (request, response) => {
    asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers })
    listener(request, response)
  }
  const server = tls === undefined ? createServer(record) : createTlsServer(tls, record)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { origin: `${tls === undefined ? 'http' : 'https'}://localhost:${port}`, port, asked }
}

/** A certificate for localhost, its own authority; undefined when openssl is missing and that was allowed. */
export function makeCertificate(t: TestContext, folder: string): { key: string; cert: string } | undefined {
  const openssl = needTool(t, 'openssl', 'openssl')
  if (openssl === undefined) return undefined
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost'
  const made = run(openssl, [
    ...words.split(' '),
    '-addext',
    'subjectAltName=DNS:localhost',
    '-keyout',
    key,
    '-out',
    cert,
  ])
  if (made.status !== 0) throw new Error(made.stderr)
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

/** As a good static server: ranges, If-Range, HEAD, 416. */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer,
  etag = '"v1"',
): void {
  const { status, start } = chooseRange(request, bytes, etag)
  if (status === 416) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
    return
  }
  response.writeHead(status, {
    etag,
    'content-length': bytes.length - start,
    ...(status === 206 ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(start))
}

export function chooseRange(
  request: IncomingMessage,
  bytes: Buffer,
  etag: string,
): { status: number; start: number } {
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')
  const ifRange = request.headers['if-range']
  if (range === null || (ifRange !== undefined && ifRange !== etag)) return { status: 200, start: 0 }
  const start = Number(range[1])
  return start >= bytes.length ? { status: 416, start } : { status: 206, start }
}

/** Announce everything, send up to `until`, then cut the connection once that is out. */
export function cutShort(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer,
  until: number,
  etag = '"v1"',
): void {
  const { status, start } = chooseRange(request, bytes, etag)
  response.writeHead(status, {
    etag,
    'content-length': bytes.length - start,
    ...(status === 206 ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
  })
  response.write(bytes.subarray(start, until), () => response.destroy())
}
