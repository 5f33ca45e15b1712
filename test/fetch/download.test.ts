import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { FetchError, InterruptedError } from '../../src/errors.ts'
import { type Cache, openCache } from '../../src/fetch/cache.ts'
import { OWN_FILE_HINT } from '../../src/fetch/download.ts'
import { fetchImage } from '../../src/fetch/fetch-image.ts'
import type { Http } from '../../src/fetch/http.ts'
import { tempFolder } from '../support/temp.ts'
import {
  cutShort,
  eager,
  lockedImage,
  makeCertificate,
  noise,
  openTestHttp,
  quiet,
  sendFile,
  serve,
  sha256,
} from './support.ts'

const bytes = noise(3 * 1024 * 1024 + 77)
const other = noise(bytes.length, 1)

const get = (url: string, cache: Cache, http: Http, mirrors?: string[], task = quiet()) =>
  fetchImage(
    lockedImage(url, bytes, mirrors === undefined ? {} : { mirrors }),
    cache,
    { http, offline: false, retry: eager },
    task,
  )

/** Nothing under a final name, nothing half done. */
const assertEmpty = (cache: Cache) => assert.deepEqual(readdirSync(join(cache.folder, 'downloads')), [])

test('a download lands under its digest; a second fetch asks nobody', async (t) => {
  const server = await serve(t, (request, response) => sendFile(request, response, bytes))
  const cache = await openCache(tempFolder(t))
  const http = openTestHttp()
  let last = 0
  const report = (p: { bytes: number }) => {
    last = p.bytes
  }
  const task = { ...quiet(), report }
  const path = await get(`${server.origin}/x.img.xz`, cache, http, undefined, task)
  assert.equal(path, join(cache.folder, 'downloads', sha256(bytes)))
  assert.deepEqual(readFileSync(path), bytes)
  assert.equal(last, bytes.length, 'progress ends at the end')
  assert.equal(server.asked[0]?.headers['accept-encoding'], 'identity')
  await get(`${server.origin}/x.img.xz`, cache, http)
  assert.equal(server.asked.length, 1)
  assert.deepEqual(readdirSync(join(cache.folder, 'downloads')), [sha256(bytes)])
  assert.deepEqual(readdirSync(join(cache.folder, 'locks')), [])
})

test('a cut connection is continued where it broke off', async (t) => {
  const server = await serve(t, (request, response) => {
    if (server.asked.length < 3) cutShort(request, response, bytes, server.asked.length * 1_000_000)
    else sendFile(request, response, bytes)
  })
  const cache = await openCache(tempFolder(t))
  assert.deepEqual(readFileSync(await get(`${server.origin}/x`, cache, openTestHttp())), bytes)
  const [first, second, third] = server.asked
  assert.equal(first?.headers.range, undefined)
  assert.match(second?.headers.range ?? '', /^bytes=[1-9]\d*-$/)
  assert.equal(second?.headers['if-range'], '"v1"')
  assert.match(third?.headers.range ?? '', /^bytes=[1-9]\d*-$/)
})

test('a server that knows no ranges sends it all again', async (t) => {
  const server = await serve(t, (request, response) => {
    delete request.headers.range
    if (server.asked.length === 1) cutShort(request, response, bytes, 1_000_000)
    else sendFile(request, response, bytes)
  })
  const cache = await openCache(tempFolder(t))
  assert.deepEqual(readFileSync(await get(`${server.origin}/x`, cache, openTestHttp())), bytes)
  assert.equal(server.asked.length, 2)
})

const versions: { name: string; respectsIfRange: boolean }[] = [
  { name: 'the server says so with 200', respectsIfRange: true },
  { name: 'the server ignores If-Range and sends the new tail', respectsIfRange: false },
]
for (const { name, respectsIfRange } of versions) {
  test(`a file that changes between ranges is started afresh: ${name}`, async (t) => {
    const server = await serve(t, (request, response) => {
      if (server.asked.length === 1) return cutShort(request, response, other, 1_000_000, '"v1"')
      if (!respectsIfRange) delete request.headers['if-range']
      return sendFile(request, response, bytes, '"v2"')
    })
    const cache = await openCache(tempFolder(t))
    assert.deepEqual(readFileSync(await get(`${server.origin}/x`, cache, openTestHttp())), bytes)
  })
}

test('a server that stalls is left and asked again', async (t) => {
  const server = await serve(t, (request, response) => {
    if (server.asked.length > 1) return sendFile(request, response, bytes)
    response.writeHead(200, { etag: '"v1"', 'content-length': bytes.length })
    response.write(bytes.subarray(0, 500_000))
  })
  const cache = await openCache(tempFolder(t))
  const path = await get(`${server.origin}/x`, cache, openTestHttp({ stallTimeoutMs: 150 }))
  assert.deepEqual(readFileSync(path), bytes)
  assert.match(server.asked[1]?.headers.range ?? '', /^bytes=\d+-$/)
})

test('a server that never answers is an error, not a hang', async (t) => {
  const server = await serve(t, () => {})
  const cache = await openCache(tempFolder(t))
  await assert.rejects(get(`${server.origin}/x`, cache, openTestHttp({ stallTimeoutMs: 150 })), {
    name: 'HttpFailure',
    message: `${server.origin}/x sent nothing for 0.15 s`,
    exitCode: 3,
  })
})

test('a body without a length that ends early is continued', async (t) => {
  const server = await serve(t, (request, response) => {
    if (server.asked.length > 1) return sendFile(request, response, bytes)
    response.writeHead(200, { etag: '"v1"', 'transfer-encoding': 'chunked' })
    return response.end(bytes.subarray(0, 1_000_000))
  })
  const cache = await openCache(tempFolder(t))
  assert.deepEqual(readFileSync(await get(`${server.origin}/x`, cache, openTestHttp())), bytes)
  assert.equal(server.asked[1]?.headers.range, 'bytes=1000000-')
})

test('a server that goes away again and again is an error, and what came is kept', async (t) => {
  const server = await serve(t, (request, response) => cutShort(request, response, bytes, 700_000))
  const cache = await openCache(tempFolder(t))
  await assert.rejects(get(`${server.origin}/x`, cache, openTestHttp()), FetchError)
  const partial = readFileSync(join(cache.folder, 'downloads', `${sha256(bytes)}.part`))
  assert.deepEqual(partial, bytes.subarray(0, partial.length))
  assert.ok(partial.length > 0)
  assert.ok(!existsSync(join(cache.folder, 'downloads', sha256(bytes))))
})

const refusals: { name: string; answer: Parameters<typeof serve>[1]; says: RegExp; hint?: RegExp }[] = [
  {
    name: 'a length other than the locked one',
    answer: (request, response) => sendFile(request, response, noise(bytes.length + 1)),
    says: /announces \d+ bytes; images\.lock\.json says \d+$/,
  },
  {
    name: 'more bytes than there are',
    answer: (_, response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' })
      response.end(Buffer.concat([bytes, bytes]))
    },
    says: new RegExp(`sends more than ${bytes.length} bytes`),
  },
  {
    name: 'compression on the wire',
    answer: (_, response) =>
      void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(bytes)),
    says: /is sent with Content-Encoding gzip/,
  },
  {
    name: 'not found',
    answer: (_, response) => void response.writeHead(404).end(),
    says: /answers 404$/,
    hint: /piimage images lock/,
  },
  {
    name: 'forbidden',
    answer: (_, response) => void response.writeHead(403).end('no'),
    says: /answers 403$/,
  },
  {
    name: 'a redirect to a file',
    answer: (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    says: /redirects to file:\/\/\/etc\/passwd, which is not followed/,
  },
  {
    name: 'a redirect in circles',
    answer: (_, response) => void response.writeHead(302, { location: '/x' }).end(),
    says: /redirects more than 5 times/,
  },
  {
    name: 'other bytes of the same length',
    answer: (request, response) => sendFile(request, response, other),
    says: new RegExp(`^sha256 of http.* is ${sha256(other)}; images.lock.json says ${sha256(bytes)}$`),
    hint: /Nothing was kept/,
  },
]
for (const { name, answer, says, hint } of refusals) {
  test(`refused: ${name}`, async (t) => {
    const server = await serve(t, answer)
    const cache = await openCache(tempFolder(t))
    await assert.rejects(get(`${server.origin}/x`, cache, openTestHttp()), (error: FetchError) => {
      assert.ok(error instanceof FetchError, String(error.stack))
      assert.match(error.message, says)
      if (hint !== undefined) assert.match(error.hint ?? '', hint)
      return true
    })
    assert.ok(!existsSync(join(cache.folder, 'downloads', sha256(bytes))))
  })
}

test('wrong bytes leave nothing behind', async (t) => {
  const server = await serve(t, (request, response) => sendFile(request, response, other))
  const cache = await openCache(tempFolder(t))
  await assert.rejects(get(`${server.origin}/x`, cache, openTestHttp()), { name: 'DigestError' })
  assertEmpty(cache)
})

test('a busy server is asked again', async (t) => {
  const server = await serve(t, (request, response) => {
    if (server.asked.length < 3) response.writeHead(503).end()
    else sendFile(request, response, bytes)
  })
  const cache = await openCache(tempFolder(t))
  await get(`${server.origin}/x`, cache, openTestHttp())
  assert.equal(server.asked.length, 3)
})

test('mirrors are tried in order: missing, wrong bytes, then right', async (t) => {
  const server = await serve(t, (request, response) => {
    if (request.url === '/gone') response.writeHead(404).end()
    else sendFile(request, response, request.url === '/wrong' ? other : bytes)
  })
  const cache = await openCache(tempFolder(t))
  const mirrors = [`${server.origin}/wrong`, `${server.origin}/right`]
  assert.deepEqual(readFileSync(await get(`${server.origin}/gone`, cache, openTestHttp(), mirrors)), bytes)
  assert.deepEqual(
    server.asked.map(({ url }) => url),
    ['/gone', '/wrong', '/right'],
  )
})

test('when no mirror has it, the message names each', async (t) => {
  const server = await serve(t, (_, response) => void response.writeHead(404).end())
  const cache = await openCache(tempFolder(t))
  await assert.rejects(get(`${server.origin}/a`, cache, openTestHttp(), [`${server.origin}/b`]), {
    message: /^no address has raspios-trixie-arm64-lite@1: .*\/a answers 404; .*\/b answers 404$/,
    hint: /^The publisher .*\nAn image that you have as a file .*: piimage images lock FILE$/,
  })
})

test('a password in an address is not shown', async (t) => {
  const server = await serve(t, (_, response) => void response.writeHead(404).end())
  const cache = await openCache(tempFolder(t))
  const url = server.origin.replace('//', '//me:hunter2@')
  await assert.rejects(
    get(`${url}/a`, cache, openTestHttp()),
    (error: Error) => !/hunter2/.test(String(error.stack)),
  )
})

test('--offline says what is missing and how to get it', async (t) => {
  const cache = await openCache(tempFolder(t))
  const image = lockedImage('https://example.org/x', bytes)
  await assert.rejects(fetchImage(image, cache, { http: openTestHttp(), offline: true }, quiet()), {
    message: `raspios-trixie-arm64-lite@1 is not in the cache ${cache.folder}, and --offline forbids fetching it`,
    hint: `Once, with a network: piimage images fetch raspios-trixie-arm64-lite@1\n${OWN_FILE_HINT}`,
  })
})

test('an interrupted download stops, keeps its part, and the next run continues it', async (t) => {
  const stop = new AbortController()
  const server = await serve(t, (request, response) => {
    if (server.asked.length > 1) return sendFile(request, response, bytes)
    response.writeHead(200, { etag: '"v1"', 'content-length': bytes.length })
    return response.write(bytes.subarray(0, 1_000_000))
  })
  const cache = await openCache(tempFolder(t))
  const report = (p: { bytes: number }) => {
    if (p.bytes === 1_000_000) stop.abort(new InterruptedError('stopped'))
  }
  const url = `${server.origin}/x`
  await assert.rejects(get(url, cache, openTestHttp(), undefined, { report, signal: stop.signal }), {
    name: 'InterruptedError',
  })
  assert.deepEqual(readdirSync(join(cache.folder, 'locks')), [])
  assert.deepEqual(readFileSync(await get(url, cache, openTestHttp())), bytes)
  assert.equal(server.asked[1]?.headers.range, 'bytes=1000000-')
})

test('https: the server must prove itself, and a redirect to http is refused', async (t) => {
  const tls = makeCertificate(t, tempFolder(t))
  if (tls === undefined) return
  const plain = await serve(t, (request, response) => sendFile(request, response, bytes))
  const server = await serve(
    t,
    (request, response) => {
      if (request.url === '/down') response.writeHead(302, { location: `${plain.origin}/x` }).end()
      else sendFile(request, response, bytes)
    },
    tls,
  )
  const up = await serve(
    t,
    (_, response) => void response.writeHead(301, { location: `${server.origin}/x` }).end(),
  )
  const cache = await openCache(tempFolder(t))
  const trusting = openTestHttp({ ca: tls.cert })
  await assert.rejects(
    get(`${server.origin}/x`, cache, openTestHttp()),
    /can't be read \(DEPTH_ZERO_SELF_SIGNED_CERT/,
  )
  await assert.rejects(
    get(`${server.origin}/down`, cache, trusting),
    /redirects to http:.*, which is not followed/,
  )
  assert.equal(plain.asked.length, 0)
  assert.deepEqual(readFileSync(await get(`${up.origin}/x`, cache, trusting)), bytes)
})
