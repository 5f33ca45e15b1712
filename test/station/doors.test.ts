/** Who comes in at the station, and what of strangers is bounded: hosts, sites, tokens, paths, floods, slow ones. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { MOST_STREAMS } from '../../src/station/hub.ts'
import { demoProject } from '../support/project.ts'
import { askAt, startStation } from '../support/station.ts'

test('another host name, another site, another way of asking', async (t) => {
  const station = await startStation(t, demoProject(t))
  const { cookie, origin } = station
  for (const host of [
    'evil.example',
    `evil.example:${station.port}`,
    '127.0.0.1',
    `127.0.0.1.evil.example:${station.port}`,
  ]) {
    const { status, text } = await station.ask({ path: '/api/table', headers: { cookie, host } })
    assert.ok(status === 421 || status === 400, `${host}: ${status}`)
    assert.doesNotMatch(text, /hammond/)
  }
  const json = { 'content-type': 'application/json' }
  const arm = (headers: Record<string, string>) =>
    station.ask({
      method: 'POST',
      path: '/api/arm',
      headers: { cookie, ...json, ...headers },
      body: '{"armed":true}',
    })
  for (const headers of [
    {},
    { origin: 'null' },
    { origin: 'https://evil.example' },
    { origin: `http://localhost:${station.port}` },
    { origin: origin.replace('http:', 'https:') },
    { origin: `${origin}/` },
    { origin, 'sec-fetch-site': 'cross-site' },
    { origin, 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[])
    assert.equal((await arm(headers)).status, 403, JSON.stringify(headers))
  // What a form of another site can send.
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', ''])
    assert.equal((await arm({ origin, 'content-type': type })).status, 415, type)
  for (const body of ['', 'null', '[]', '"x"', '{', '{"armed":true}x']) {
    const given = await station.ask({
      method: 'POST',
      path: '/api/arm',
      headers: { cookie, origin, ...json },
      body,
    })
    assert.equal(given.status, 400, body)
  }
  assert.equal((await station.get('/api/arm')).status, 405)
  assert.equal((await station.table()).armed, false)
  assert.equal((await arm({ origin })).status, 200)
  assert.equal((await station.table()).armed, true)
})

test('nobody comes in without the cookie, and the address is good for one', async (t) => {
  const station = await startStation(t, demoProject(t))
  const used = new URL((station.told[0] as { address: string }).address)
  for (const path of ['/', '/page.js', '/page.css', '/api/table', '/api/events', '/api/plan?node=oneil'])
    assert.equal((await station.ask({ path })).status, 401, path)
  const again = await station.ask({ path: `${used.pathname}${used.search}` })
  assert.deepEqual([again.status, again.headers['set-cookie']], [403, undefined])
  for (const path of ['/enter', '/enter?token=', '/enter?token=x'])
    assert.equal((await station.ask({ path })).status, 403, path)

  // A token counts in the address that it was printed in, nowhere else.
  const newest = new URL(station.address())
  for (const headers of [
    { referer: newest.href },
    { cookie: newest.search.slice(1) },
    { authorization: `Bearer ${newest.searchParams.get('token')}` },
  ] as Record<string, string>[])
    assert.equal((await station.ask({ path: `/${newest.search}`, headers })).status, 401)
  const head = await station.ask({ method: 'HEAD', path: `${newest.pathname}${newest.search}` })
  assert.equal(head.status, 405)
  const other = await station.ask({ path: `${newest.pathname}${newest.search}` })
  const [set = ''] = other.headers['set-cookie'] ?? []
  assert.deepEqual([other.status, other.headers.location], [303, '/'])
  assert.match(set, /; Path=\/; HttpOnly; SameSite=Strict$/)
  // Two browsers are in now; a third cookie is none.
  for (const [cookie, status] of [
    [set.split(';')[0] as string, 200],
    [station.cookie, 200],
    [`${station.cookie}x`, 401],
    [station.cookie.replace(/\d+=/, '1='), 401],
  ] as const)
    assert.equal((await station.ask({ path: '/api/table', headers: { cookie } })).status, status)
})

test('every answer has the headers that keep a page to itself', async (t) => {
  const station = await startStation(t, demoProject(t))
  for (const path of ['/', '/page.js', '/api/table', '/nothing']) {
    const { headers } = await station.get(path)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/)
    assert.doesNotMatch(policy, /unsafe|\*|data:|http/)
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['access-control-allow-origin'], undefined)
  }
  const { text } = await station.get('/')
  assert.doesNotMatch(text, /<script(?![^>]* src=)|<style| on\w+=| style=/)
})

test('no path leads out of the page', async (t) => {
  const station = await startStation(t, demoProject(t))
  for (const path of [
    '/../package.json',
    '/..%2fpackage.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/page.js/../../../package.json',
    '//etc/passwd',
    '/page.js%00.css',
    '/./page.js',
    '/index.html',
    '/__proto__',
    '/api/__proto__',
    '/api/constructor',
    '/api/../page.js',
    'http://evil.example/page.js',
    '*',
  ]) {
    const { status, text } = await station.get(path)
    assert.ok(status === 404 || status === 400, `${path}: ${status}`)
    assert.doesNotMatch(text, /root:|"dependencies"/)
  }
})

/** One request as bytes; what came back until the end, or until `patience` is over. */
function send(port: number, bytes: string | Buffer, patience = 500): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const end = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(text)
    }
    const timer = setTimeout(end, patience)
    socket.on('data', (part) => {
      text += part.toString('latin1')
    })
    socket.on('error', end)
    socket.on('close', end)
  })
}

test('ten thousand malformed requests, and it still answers', async (t) => {
  const station = await startStation(t, demoProject(t))
  const { port, cookie } = station
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed % below
  }
  const whole = `POST /api/flash HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: ${station.origin}\r\nCookie: ${cookie}\r\nContent-Type: application/json\r\nContent-Length: 40\r\nConnection: close\r\n\r\n{"slot":"x","medium":"y","node":"oneil"}`
  const broken = (): Buffer => {
    const bytes = Buffer.from(whole)
    for (let times = 1 + random(6); times > 0; times -= 1) bytes[random(bytes.length)] = random(256)
    return bytes.subarray(0, random(4) === 0 ? random(bytes.length) : bytes.length)
  }
  for (let round = 0; round < 50; round += 1)
    await Promise.all(Array.from({ length: 200 }, () => send(port, broken(), 150)))
  const table = await station.table()
  assert.deepEqual([table.armed, table.slots], [false, []])
})

test('what is too long, too slow or too much is refused', async (t) => {
  const station = await startStation(t, demoProject(t))
  const { port, cookie, origin } = station
  const headers = { cookie, origin, 'content-type': 'application/json' }
  const long = await station.ask({
    method: 'POST',
    path: '/api/arm',
    headers,
    body: `{"x":"${'x'.repeat(70_000)}"}`,
  })
  assert.ok(long.status === 413 || long.status === 0, String(long.status))
  assert.match(
    await send(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
    /^HTTP\/1.1 4\d\d/,
  )
  // One that never ends its headers, and one that never ends its body.
  const slow = await Promise.all([
    send(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX: `, 30_000),
    send(
      port,
      `POST /api/arm HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: ${origin}\r\nCookie: ${cookie}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
      30_000,
    ),
  ])
  for (const text of slow) assert.match(text, /^HTTP\/1.1 4\d\d/)
  assert.equal((await station.get('/api/table')).status, 200)
})

test('a question whose parameters look like a refusal is a question', async (t) => {
  const station = await startStation(t, demoProject(t))
  for (const status of ['abc', '200', '-1'])
    assert.equal((await station.get(`/api/table?status=${status}&message=x`)).status, 200)
  const { cookie, origin } = station
  const order = await station.ask({
    method: 'POST',
    path: '/api/arm',
    headers: { cookie, origin, 'content-type': 'application/json' },
    body: '{"armed":true,"status":"abc","message":"x"}',
  })
  assert.equal(order.status, 200)
  assert.equal((await station.table()).armed, true)
})

test('connections that are held open keep nobody out', async (t) => {
  const station = await startStation(t, demoProject(t))
  const { port } = station
  const half = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`
  // Each reads nothing and never closes its own end.
  for (let count = 0; count < 300; count += 1) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(half))
    t.after(() => socket.destroy())
    socket.on('error', () => {})
  }
  let status = 0
  for (let tries = 0; status !== 200 && tries < 120; tries += 1) {
    await delay(500)
    status = (await station.get('/api/table')).status
  }
  assert.equal(status, 200)
})

test('a thousand event streams: a few are served, the others are told so', async (t) => {
  const station = await startStation(t, demoProject(t))
  const { port, cookie } = station
  const sockets: ReturnType<typeof connect>[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const open = () =>
    new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(`GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\n\r\n`),
      )
      sockets.push(socket)
      socket.once('data', (part) => resolve(part.toString().slice(9, 12)))
      socket.on('error', () => resolve('closed'))
      socket.on('close', () => resolve('closed'))
    })
  const answers: string[] = []
  for (let round = 0; round < 20; round += 1)
    answers.push(...(await Promise.all(Array.from({ length: 50 }, open))))
  const count = (answer: string) => answers.filter((one) => one === answer).length
  assert.equal(count('200'), MOST_STREAMS)
  assert.equal(count('503') + count('closed'), 1000 - MOST_STREAMS)
  assert.equal((await station.get('/api/table')).status, 200)
  for (const socket of sockets) socket.destroy()
  await station.until('room again', () => true)
  const again = await open()
  assert.equal(again, '200')
})

test('an address that others reach needs a password, and speaks TLS with a certificate to compare', async (t) => {
  const project = demoProject(t)
  await assert.rejects(
    startStation(t, project, { listen: '0.0.0.0:0' }),
    /0\.0\.0\.0 can be reached by others, and there is no password/,
  )
  await assert.rejects(startStation(t, project, { listen: 'nonsense' }), /not an address to listen on/)
  writeFileSync(project.file('password'), 'short\n')
  const request = { listen: '127.0.0.2:0', passwordFile: project.file('password') }
  await assert.rejects(startStation(t, project, request), /fewer than 10 characters/)
  writeFileSync(project.file('password'), 'correct horse battery\n')
  const station = await startStation(t, project, request)
  assert.match(station.address(), /^https:\/\/127\.0\.0\.2:/)
  const { connect: connectSecurely } = await import('node:tls')
  const socket = connectSecurely({ host: '127.0.0.2', port: station.port, rejectUnauthorized: false })
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  assert.equal(socket.getPeerCertificate().fingerprint256, station.told[0]?.fingerprint)
  socket.destroy()
  assert.equal((await askAt(station.port, { path: '/' })).status, 0, 'nothing without TLS')
})
