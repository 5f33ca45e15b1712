import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { proxyFor } from '../../src/fetch/proxy.ts'
import { noise, openTestHttp, sha256 } from './support.ts'

const bytes = noise(3_000_000, 31)
const { signal } = new AbortController()

const framings: { name: string; head: string }[] = [
  {
    name: 'a length',
    head: `HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`,
  },
  { name: 'nothing but the end of the connection', head: 'HTTP/1.0 200 OK\r\n\r\n' },
]
for (const { name, head } of framings) {
  test(`a server that closes while the reader is busy; the body framed by ${name}`, async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write(head)
        socket.end(bytes)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const answer = await openTestHttp().request(`http://127.0.0.1:${port}/`, { signal })
    await sleep(50)
    const chunks: Uint8Array[] = []
    for await (const chunk of answer.body) {
      if (chunks.length % 16 === 0) await sleep(1)
      chunks.push(chunk)
    }
    assert.equal(sha256(Buffer.concat(chunks)), sha256(bytes))
  })
}

const env = { HTTP_PROXY: 'http://p:1', https_proxy: 'q:2', NO_PROXY: 'example.org, .lan 10.0.0.1:8080' }
const proxies: { url: string; env?: Record<string, string>; proxy: string | undefined }[] = [
  { url: 'http://a.com/', proxy: 'http://p:1/' },
  { url: 'https://a.com/', proxy: 'http://q:2/' },
  { url: 'https://example.org/', proxy: undefined },
  { url: 'https://sub.example.org/', proxy: undefined },
  { url: 'https://notexample.org/', proxy: 'http://q:2/' },
  { url: 'http://pi.lan/', proxy: undefined },
  { url: 'http://10.0.0.1:8080/', proxy: undefined },
  { url: 'http://10.0.0.1/', proxy: 'http://p:1/' },
  { url: 'http://a.com/', env: { ...env, no_proxy: '*' }, proxy: undefined },
  { url: 'http://a.com/', env: { http_proxy: '', HTTP_PROXY: 'http://p:1' }, proxy: undefined },
  { url: 'http://a.com/', env: {}, proxy: undefined },
]
for (const { url, env: other, proxy } of proxies) {
  test(`proxyFor ${url}${other === undefined ? '' : ` with ${JSON.stringify(other)}`}`, () => {
    assert.equal(proxyFor(new URL(url), other ?? env)?.href, proxy)
  })
}

test('a proxy of a kind we do not speak is refused, its password not shown', () => {
  const socks = () => proxyFor(new URL('http://a.com'), { HTTP_PROXY: 'socks5://me:hunter2@p:1' })
  assert.throws(socks, { name: 'UsageError', message: 'HTTP_PROXY is not an http: or https: proxy' })
})
