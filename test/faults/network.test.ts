/**
 * Servers, proxies and networks that fail or lie: what fetching says, that it
 * ends by itself, that nothing of it gets a final name, and that the next run
 * with a good server has the right bytes. What a server does that merely
 * breaks off is in test/fetch.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { FetchError } from '../../src/errors.ts'
import { openCache } from '../../src/fetch/cache.ts'
import { fetchImage } from '../../src/fetch/fetch-image.ts'
import type { HttpOptions } from '../../src/fetch/http.ts'
import { eager, lockedImage, noise, openTestHttp, quiet, sendFile, serve, sha256 } from '../fetch/support.ts'
import { tempFolder } from '../support/temp.ts'

const bytes = noise(300_000, 3)
const STALL_MS = 300

/** What stands where the server should be. */
interface Fault {
  name: string
  /** @returns the address to ask, and how */
  arrange(t: TestContext): Promise<{ url: string } & Partial<HttpOptions>>
  says: RegExp
}

/** A server below HTTP: what it does with a connection once it was asked something. */
async function serveRaw(t: TestContext, answer: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`
}

const raw = (answer: (socket: Socket) => void) => async (t: TestContext) => ({
  url: await serveRaw(t, answer),
})

const http = (listener: Parameters<typeof serve>[1]) => async (t: TestContext) => ({
  url: `${(await serve(t, listener)).origin}/x`,
})

/** Every `everyMs`, one byte more. */
function drip(socket: Socket, start: string, text: string): void {
  socket.write(start)
  let at = 0
  const timer = setInterval(() => {
    if (socket.destroyed || at >= text.length) clearInterval(timer)
    else socket.write(text[at] ?? '')
    at += 1
  }, STALL_MS / 10)
}

const redirect = (location: string) => http((_, response) => void response.writeHead(302, { location }).end())

const proxied = (answer: (socket: Socket) => void) => async (t: TestContext) => {
  const proxy = await serveRaw(t, answer)
  return { url: 'https://images.invalid/x', env: { HTTPS_PROXY: proxy } }
}

const faults: Fault[] = [
  {
    name: 'a server that takes the connection and says nothing',
    arrange: raw(() => {}),
    says: /sent nothing for 0\.3 s/,
  },
  {
    name: 'a header that comes a byte at a time, for ever',
    arrange: raw((socket) => drip(socket, 'HTTP/1.1 200 OK\r\nx-slow: ', 'x'.repeat(1_000_000))),
    says: /sent nothing for 0\.3 s/,
  },
  {
    name: 'a body that comes a byte at a time, for ever',
    arrange: raw((socket) =>
      drip(socket, `HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`, 'x'.repeat(bytes.length)),
    ),
    says: /sent less than 4096 bytes in 0\.3 s/,
  },
  {
    name: 'a body that stops half way',
    arrange: raw((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`)
      socket.write(bytes.subarray(0, 100_000))
    }),
    says: /sent less than 4096 bytes in 0\.3 s/,
  },
  {
    name: 'a connection that is cut at once',
    arrange: raw((socket) => socket.destroy()),
    says: /can't be read \(.*(ECONNRESET|socket hang up)/,
  },
  {
    name: 'an answer that is not HTTP',
    arrange: raw((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
    says: /can't be read \(HPE_INVALID_CONSTANT/,
  },
  {
    name: 'a header without end',
    arrange: raw((socket) => socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(100_000)}`)),
    says: /can't be read \(HPE_HEADER_OVERFLOW/,
  },
  {
    name: 'a length that is longer than what comes',
    arrange: raw((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${bytes.length}\r\n\r\n`)
      socket.end(bytes.subarray(0, 100_000))
    }),
    says: /can't be read|ended after 100000 of 300000 bytes/,
  },
  {
    name: 'a length that is shorter than the locked one',
    arrange: http((request, response) => sendFile(request, response, bytes.subarray(0, 1000))),
    says: /announces 1000 bytes; images\.lock\.json says 300000/,
  },
  {
    name: 'a length that is no number',
    arrange: raw((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nx')),
    says: /can't be read \(HPE_/,
  },
  {
    name: 'chunks that never end',
    arrange: http((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(bytes));
        response.once('drain', more)
      }
      more()
    }),
    says: /sends more than 300000 bytes/,
  },
  {
    name: 'nothing at all, and no length',
    arrange: raw((socket) => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n')),
    says: /ended after 0 of 300000 bytes/,
  },
  {
    name: 'a page of a captive portal, with status 200',
    arrange: http((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' })
      response.end('<html>Please log in</html>')
    }),
    says: /ended after 26 of 300000 bytes/,
  },
  {
    name: 'the right length of other bytes',
    arrange: http((request, response) => sendFile(request, response, noise(bytes.length, 4))),
    says: /^sha256 of http.* is [0-9a-f]{64}; images\.lock\.json says [0-9a-f]{64}$/,
  },
  {
    name: 'a file that is another one at every range',
    arrange: async (t) => {
      let version = 0
      const server = await serve(t, (_, response) => {
        version += 1
        const other = noise(bytes.length, version)
        response.writeHead(200, { etag: `"${version}"`, 'content-length': bytes.length })
        response.write(other.subarray(0, 200_000), () => response.destroy())
      })
      return { url: `${server.origin}/x` }
    },
    says: /can't be read|ended after/,
  },
  {
    name: 'a range that nobody asked for',
    arrange: http((_, response) => {
      response.writeHead(206, { 'content-range': `bytes 1000-299999/${bytes.length}` })
      response.end(bytes.subarray(1000))
    }),
    says: /was asked for bytes from 0 and sends bytes 1000-299999\/300000/,
  },
  {
    name: 'gzip on the wire',
    arrange: http((_, response) => {
      const packed = gzipSync(bytes)
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length }).end(packed)
    }),
    says: /Content-Encoding gzip/,
  },
  { name: 'a redirect to a file', arrange: redirect('file:///etc/passwd'), says: /which is not followed/ },
  { name: 'a redirect to ftp', arrange: redirect('ftp://localhost/x'), says: /which is not followed/ },
  { name: 'a redirect to data', arrange: redirect('data:text/plain,x'), says: /which is not followed/ },
  { name: 'a redirect to nowhere', arrange: redirect('http://'), says: /redirects to .*not followed/ },
  { name: 'a redirect in circles', arrange: redirect('/x'), says: /redirects more than 5 times/ },
  {
    name: 'a busy server',
    arrange: http((_, response) => void response.writeHead(503).end()),
    says: /answers 503$/,
  },
  {
    name: 'nobody at the address',
    arrange: async () => ({ url: 'http://127.0.0.1:1/x' }),
    says: /can't be read \(.*ECONNREFUSED/,
  },
  {
    name: 'no network: a name that nobody knows',
    arrange: async () => ({ url: 'http://images.invalid/x' }),
    says: /can't be read \(.*(ENOTFOUND|EAI_AGAIN)/,
  },
  {
    name: 'TLS that is none',
    arrange: async (t) => ({
      url: (await serveRaw(t, (socket) => socket.end('hello'))).replace('http', 'https'),
    }),
    says: /can't be read \(/,
  },
  {
    name: 'a proxy that is dead',
    arrange: async () => ({ url: 'https://images.invalid/x', env: { HTTPS_PROXY: 'http://127.0.0.1:1' } }),
    says: /can't be read \(.*ECONNREFUSED/,
  },
  {
    name: 'a proxy that says nothing',
    arrange: proxied(() => {}),
    says: /could not be connected to in 0\.3 s/,
  },
  {
    name: 'a proxy that wants a password',
    arrange: proxied((socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')),
    says: /the proxy 127\.0\.0\.1:\d+ answers 407/,
  },
  {
    name: 'a proxy that connects to nothing',
    arrange: proxied((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n')),
    says: /could not be connected to in 0\.3 s/,
  },
]

for (const { name, arrange, says } of faults) {
  test(`fetching from ${name}`, async (t) => {
    const { url, ...options } = await arrange(t)
    const cache = await openCache(tempFolder(t))
    const get = (from: string, httpOptions: Partial<HttpOptions>) =>
      fetchImage(
        lockedImage(from, bytes),
        cache,
        { http: openTestHttp(httpOptions), offline: false, retry: { ...eager, attempts: 2 } },
        quiet(),
      )
    const limits = { stallTimeoutMs: STALL_MS, connectTimeoutMs: STALL_MS }
    await assert.rejects(get(url, { ...limits, ...options }), (error: FetchError) => {
      assert.ok(error instanceof FetchError, String((error as Error).stack))
      assert.match(error.message, says)
      return true
    })
    assert.ok(!existsSync(join(cache.folder, 'downloads', sha256(bytes))))
    assert.deepEqual(readdirSync(join(cache.folder, 'locks')), [])

    const good = await serve(t, (request, response) => sendFile(request, response, bytes))
    assert.deepEqual(readFileSync(await get(`${good.origin}/x`, {})), bytes)
  })
}
