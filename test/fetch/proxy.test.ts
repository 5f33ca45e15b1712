/** Proxies from the environment: plain requests by absolute address, https through CONNECT. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, request as forward } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { openCache } from '../../src/fetch/cache.ts'
import { fetchImage } from '../../src/fetch/fetch-image.ts'
import type { HttpOptions } from '../../src/fetch/http.ts'
import { tempFolder } from '../support/temp.ts'
import {
  eager,
  lockedImage,
  makeCertificate,
  noise,
  openTestHttp,
  quiet,
  sendFile,
  serve,
} from './support.ts'

const bytes = noise(400_000, 21)

/** A forward proxy that writes down what it was asked for. */
async function openProxy(t: TestContext): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const onward = forward(
      request.url ?? '',
      { method: request.method ?? 'GET', headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    onward.end()
  })
  server.on('connect', (request, socket: Socket, head) => {
    asked.push(`CONNECT ${request.url}`)
    const port = Number(request.url?.split(':')[1])
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.write(head)
      onward.pipe(socket).pipe(onward)
    })
    for (const end of [socket, onward]) {
      sockets.add(end)
      end.on('error', () => {})
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

async function fetchThrough(t: TestContext, url: string, options: Partial<HttpOptions>): Promise<void> {
  const cache = await openCache(tempFolder(t))
  const http = openTestHttp(options)
  const path = await fetchImage(
    lockedImage(url, bytes),
    cache,
    { http, offline: false, retry: eager },
    quiet(),
  )
  assert.deepEqual(readFileSync(path), bytes)
}

test('http goes through HTTP_PROXY, unless NO_PROXY names the host', async (t) => {
  const server = await serve(t, (request, response) => sendFile(request, response, bytes))
  const proxy = await openProxy(t)
  await fetchThrough(t, `${server.origin}/x`, { env: { HTTP_PROXY: proxy.url } })
  assert.deepEqual(proxy.asked, [`GET ${server.origin}/x`])
  await fetchThrough(t, `${server.origin}/x`, { env: { http_proxy: proxy.url, no_proxy: 'localhost' } })
  assert.equal(proxy.asked.length, 1)
})

test('https goes through HTTPS_PROXY by CONNECT, and the server still proves itself', async (t) => {
  const tls = makeCertificate(t, tempFolder(t))
  if (tls === undefined) return
  const server = await serve(t, (request, response) => sendFile(request, response, bytes), tls)
  const proxy = await openProxy(t)
  await fetchThrough(t, `${server.origin}/x`, { env: { HTTPS_PROXY: proxy.url }, ca: tls.cert })
  assert.deepEqual(proxy.asked, [`CONNECT localhost:${server.port}`])
  await assert.rejects(
    fetchThrough(t, `${server.origin}/x`, { env: { HTTPS_PROXY: proxy.url } }),
    /SELF_SIGNED_CERT/,
  )
})

test('a proxy that is not there is a failure of the network, with a hint', async (t) => {
  const server = await serve(t, (request, response) => sendFile(request, response, bytes))
  await assert.rejects(fetchThrough(t, `${server.origin}/x`, { env: { HTTP_PROXY: 'http://127.0.0.1:9' } }), {
    exitCode: 3,
    message: /can't be read \(.*ECONNREFUSED/,
    hint: /HTTPS_PROXY/,
  })
})
