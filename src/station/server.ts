/**
 * The station over HTTP: who comes in is settled first (./doors.ts), then a
 * request is a file of the page, a question, or an order. Whatever is sent is
 * bounded: headers, body, time, connections, event streams.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { AnswersError, PiimageError, UsageError } from '../errors.ts'
import { systemRefusal } from '../system-refusal.ts'
import { KiB } from '../units.ts'
import type { Doors, Refused } from './doors.ts'
import type { PageFile } from './files.ts'
import { type Hub, MOST_STREAMS } from './hub.ts'

const MOST_BODY = 64 * KiB
const MOST_HEADER = 8 * KiB
const MOST_CONNECTIONS = 256
const HEADERS_MS = 5_000
const REQUEST_MS = 10_000

/** Nothing from elsewhere, nothing inline, and in nobody's frame. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const

/** What a question or an order is answered with; a thrown PiimageError is told in its own words. */
export type Answer = (given: Record<string, unknown>, signal: AbortSignal) => Promise<object>

export interface Routes {
  /** Questions, by name: `GET /api/NAME`. */
  questions: Readonly<Record<string, Answer>>
  /** What changes something: `POST /api/NAME` with a JSON object. */
  orders: Readonly<Record<string, Answer>>
}

export interface ServerParts {
  doors: Doors
  files: ReadonlyMap<string, PageFile>
  hub: Hub
  routes: Routes
  /** What a stream begins with. */
  first: () => object
  /** Somebody came in with the one-time address. */
  onEntered: () => void
  /** A bug. */
  onBug: (error: unknown) => void
}

export interface Listening {
  port: number
  serve(parts: ServerParts): void
  close(): Promise<void>
}

/**
 * Take the address; requests are answered once `serve` was called.
 * @throws {UsageError} the address can't be had
 */
export async function listen(
  { host, port }: { host: string; port: number },
  tls?: { key: string; cert: string },
): Promise<Listening> {
  let parts: ServerParts | undefined
  const limits = {
    maxHeaderSize: MOST_HEADER,
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: HEADERS_MS,
    connectionsCheckingInterval: 1_000,
  }
  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
    // A peer that goes away is no news.
    response.on('error', () => {})
    if (parts === undefined) return refuse(response, { status: 503, message: 'the station is starting' })
    try {
      await answer(request, response, parts)
    } catch (error) {
      parts.onBug(error)
      refuse(response, { status: 500, message: 'this is a bug in piimage; its terminal shows more' })
    }
  }
  const server: Server =
    tls === undefined ? createServer(limits, onRequest) : createSecureServer({ ...limits, ...tls }, onRequest)
  server.maxConnections = MOST_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(whyNotListening(`${host}:${port}`, cause)))
    server.listen(port, host, resolve)
  })
  server.on('clientError', (_error, socket) => {
    // A peer that never closes its end would keep its place among the connections.
    if (!socket.writable) return socket.destroy()
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', () => socket.destroy())
    // Nor is what it never reads waited for.
    setTimeout(() => socket.destroy(), HEADERS_MS).unref()
  })
  return {
    port: (server.address() as AddressInfo).port,
    serve(given) {
      parts = given
    },
    async close() {
      parts?.hub.close()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function whyNotListening(address: string, cause: NodeJS.ErrnoException): UsageError {
  const taken = cause.code === 'EADDRINUSE'
  return new UsageError(
    taken ? `${address} is taken by another program` : `can't listen on ${address}: ${cause.message}`,
    { hint: 'Name another one: --listen 127.0.0.1:PORT (port 0: any that is free)', cause },
  )
}

async function answer(request: IncomingMessage, response: ServerResponse, parts: ServerParts): Promise<void> {
  const { doors } = parts
  const stranger = doors.refuseStranger(request)
  if (stranger !== undefined) return refuse(response, stranger)
  const [path = '', query = ''] = splitOnce(request.url ?? '', '?')
  if (path === '/enter') return enter(request, response, new URLSearchParams(query).get('token') ?? '', parts)
  if (path === '/login' && doors.hasPassword) return login(request, response, doors)
  if (!doors.knows(request)) return refuseUnknown(request, response, path, doors)
  if (path === '/api/events') return follow(request, response, parts)
  if (path.startsWith('/api/'))
    return call(request, response, path.slice('/api/'.length), query, parts.routes)
  return sendFile(request, response, parts.files.get(path))
}

async function enter(
  request: IncomingMessage,
  response: ServerResponse,
  token: string,
  parts: ServerParts,
): Promise<void> {
  if (request.method !== 'GET') return refuse(response, notAllowed('GET'))
  const cookie = parts.doors.enter(token)
  if (cookie === undefined)
    return refuse(response, {
      status: 403,
      message: 'this address was used already, or is an old one',
      hint: 'Each works once. Open the newest one that piimage station printed.',
    })
  comeIn(response, cookie)
  parts.onEntered()
}

async function login(request: IncomingMessage, response: ServerResponse, doors: Doors): Promise<void> {
  if (request.method !== 'POST') return refuse(response, notAllowed('POST'))
  const body = await readBody(request)
  if (typeof body !== 'string') return refuse(response, body)
  const cookie = await doors.login(new URLSearchParams(body).get('password') ?? '')
  if (cookie === undefined) return sendLogin(response, 403, 'That is not the password.')
  comeIn(response, cookie)
}

function comeIn(response: ServerResponse, cookie: string): void {
  response.writeHead(303, { 'set-cookie': cookie, location: '/' }).end()
}

/** A person is told how to come in; a program gets the status. */
function refuseUnknown(request: IncomingMessage, response: ServerResponse, path: string, doors: Doors): void {
  if (path === '/' && request.method === 'GET' && doors.hasPassword) sendLogin(response, 401)
  else
    refuse(response, {
      status: 401,
      message: 'who are you?',
      hint: 'Open the newest address that piimage station printed; each works once.',
    })
}

function sendLogin(response: ServerResponse, status: number, problem = ''): void {
  // Without a referrer a form has no Origin either.
  response.setHeader('referrer-policy', 'same-origin')
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>piimage station</title>
<main>
<h1>piimage station</h1>
<form method="post" action="/login">
<p role="alert">${problem}</p>
<label>Password <input name="password" type="password" autocomplete="current-password" autofocus required></label>
<button>Come in</button>
</form>
</main>
`)
}

function follow(request: IncomingMessage, response: ServerResponse, { hub, first }: ServerParts): void {
  if (request.method !== 'GET') refuse(response, notAllowed('GET'))
  else if (!hub.follow(response, first()))
    refuse(response, {
      status: 503,
      message: `${MOST_STREAMS} pages follow this station already`,
      hint: 'Close one of them.',
    })
}

async function call(
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  query: string,
  { questions, orders }: Routes,
): Promise<void> {
  const isOrder = Object.hasOwn(orders, name)
  if (!isOrder && !Object.hasOwn(questions, name)) return refuse(response, NOT_FOUND)
  if (request.method !== (isOrder ? 'POST' : 'GET'))
    return refuse(response, notAllowed(isOrder ? 'POST' : 'GET'))
  const order = isOrder ? await readOrder(request) : undefined
  if (order !== undefined && 'refused' in order) return refuse(response, order.refused)
  const given = order?.given ?? Object.fromEntries(new URLSearchParams(query))
  const left = new AbortController()
  response.on('close', () => left.abort(new UsageError('the client is gone')))
  try {
    const result = await (isOrder ? orders : questions)[name]?.(given, left.signal)
    sendJson(response, 200, result ?? {})
  } catch (thrown) {
    const error = systemRefusal(thrown) ?? thrown
    if (!(error instanceof PiimageError)) throw error
    const { name, message, hint } = error
    const fields = error instanceof AnswersError ? error.fields : undefined
    sendJson(response, 409, { error: { name, message, hint, fields } })
  }
}

/** Whatever keys an order has: it is never taken for a refusal. */
type Order = { given: Record<string, unknown> } | { refused: Refused }

async function readOrder(request: IncomingMessage): Promise<Order> {
  const refused = (status: number, hint?: string): Order => ({
    refused: { status, message: 'an order must be a JSON object', hint },
  })
  if (!/^application\/json(;|$)/.test(request.headers['content-type'] ?? ''))
    return refused(415, 'Send Content-Type: application/json')
  const body = await readBody(request)
  if (typeof body !== 'string') return { refused: body }
  try {
    const order: unknown = JSON.parse(body)
    if (typeof order === 'object' && order !== null && !Array.isArray(order)) return { given: { ...order } }
  } catch {
    // Said below.
  }
  return refused(400)
}

/** @returns what was sent, as text */
async function readBody(request: IncomingMessage): Promise<string | Refused> {
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of request) {
      bytes += (part as Buffer).length
      if (bytes > MOST_BODY) return { status: 413, message: `more than ${MOST_BODY} bytes were sent` }
      parts.push(part as Buffer)
    }
  } catch {
    return { status: 400, message: 'the request ended before its end' }
  }
  return Buffer.concat(parts).toString()
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: PageFile | undefined): void {
  if (file === undefined) refuse(response, NOT_FOUND)
  else if (request.method !== 'GET' && request.method !== 'HEAD') refuse(response, notAllowed('GET, HEAD'))
  else {
    const { type, bytes, tag } = file
    response.setHeader('cache-control', 'no-cache')
    response.setHeader('etag', tag)
    if (request.headers['if-none-match'] === tag) response.writeHead(304).end()
    else response.writeHead(200, { 'content-type': type, 'content-length': bytes.length })
    if (!response.writableEnded) response.end(request.method === 'HEAD' ? undefined : bytes)
  }
}

const NOT_FOUND: Refused = { status: 404, message: 'there is nothing of that name here' }

const notAllowed = (methods: string): Refused => ({ status: 405, message: `this takes ${methods} only` })

function refuse(response: ServerResponse, { status, message, hint }: Refused): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  // What was not read yet is not waited for.
  response.setHeader('connection', 'close')
  sendJson(response, status, { error: { name: 'Refused', message, hint } })
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  if (response.headersSent) return
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
  response.end(JSON.stringify(value))
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
