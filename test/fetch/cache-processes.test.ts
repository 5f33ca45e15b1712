/** The cache with several processes, some of which are killed. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { LockedImage } from '../../src/catalog/locked-image.ts'
import { openCache } from '../../src/fetch/cache.ts'
import { pruneCache } from '../../src/fetch/cache-contents.ts'
import { tempFolder } from '../support/temp.ts'
import { lockedImage, noise, sendFile, serve, sha256 } from './support.ts'

const never = new AbortController().signal

const bytes = noise(2_500_000, 8)

interface Child {
  process: ChildProcess
  /** What it printed, whole once it ended. */
  output(): string
  ended: Promise<number | null>
}

function start(t: TestContext, folder: string, image: LockedImage): Child {
  const script = fileURLToPath(new URL('./fetch-child.js', import.meta.url))
  const child = spawn(process.execPath, [script, folder, JSON.stringify(image)])
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  return { process: child, output: () => output, ended: once(child, 'close').then(([code]) => code) }
}

test('two processes at once: one download, one unpacking, both right', async (t) => {
  const folder = tempFolder(t)
  const held: (() => void)[] = []
  const server = await serve(t, (request, response) => {
    held.push(() => sendFile(request, response, bytes))
  })
  const image = lockedImage(`${server.origin}/x`, bytes)
  const first = start(t, folder, image)
  while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  const second = start(t, folder, image)
  while (!second.output().includes('\n')) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(second.output(), `waiting for process ${first.process.pid}, which works on ${image.key}\n`)

  const cache = await openCache(folder)
  const pruned = await pruneCache(cache, { everything: true }, never)
  assert.deepEqual(pruned, { removed: [], freedBytes: 0, busy: [sha256(bytes)] }, 'prune leaves it alone')

  for (const send of held) send()
  assert.deepEqual([await first.ended, await second.ended], [0, 0], first.output() + second.output())
  assert.match(first.output(), new RegExp(`^builds\ndone ${sha256(bytes)}\n$`))
  assert.match(second.output(), new RegExp(`\ndone ${sha256(bytes)}\n$`))
  assert.ok(!second.output().includes('builds'))
  assert.equal(server.asked.length, 1)
  assert.deepEqual(readdirSync(join(folder, 'locks')), [])
})

test('killed in the middle of a download: the next process takes over and continues', async (t) => {
  const folder = tempFolder(t)
  let sentPart: () => void = () => {}
  const partIsOut = new Promise<void>((resolve) => {
    sentPart = resolve
  })
  const sendPart = (response: ServerResponse) => {
    response.writeHead(200, { etag: '"v1"', 'content-length': bytes.length })
    response.write(bytes.subarray(0, 1_500_000), () => sentPart())
  }
  const server = await serve(t, (request, response) => {
    if (server.asked.length === 1) sendPart(response)
    else sendFile(request, response, bytes)
  })
  const image = lockedImage(`${server.origin}/x`, bytes)
  const paths = (await openCache(folder)).entry(sha256(bytes))
  const victim = start(t, folder, image)
  await partIsOut
  while (!existsSync(paths.downloadPartial) || readFileSync(paths.downloadPartial).length < 1_000_000)
    await new Promise((resolve) => setTimeout(resolve, 10))
  victim.process.kill('SIGKILL')
  await victim.ended
  assert.ok(!existsSync(paths.download))
  assert.equal(readdirSync(join(folder, 'locks')).length, 2, 'its locks are still there')

  const next = start(t, folder, image)
  assert.equal(await next.ended, 0, next.output())
  assert.match(next.output(), /^builds\ndone /, 'it waited for nobody')
  assert.match(server.asked[1]?.headers.range ?? '', /^bytes=1\d{6}-$/)
  assert.deepEqual(readFileSync(paths.download), bytes)
  assert.deepEqual(readdirSync(join(folder, 'locks')), [])
  assert.deepEqual(readdirSync(join(folder, 'downloads')), [sha256(bytes)])
})

test('killed at many moments: what has its final name is whole, and a second run succeeds', async (t) => {
  const server = await serve(t, (request, response) => sendFile(request, response, bytes))
  const image = lockedImage(`${server.origin}/x`, bytes)
  const folder = tempFolder(t)
  const paths = (await openCache(folder)).entry(sha256(bytes))
  for (let moment = 0; moment < 12; moment += 1) {
    const child = start(t, folder, image)
    const timer = setTimeout(() => child.process.kill('SIGKILL'), 120 + moment * 25)
    await child.ended
    clearTimeout(timer)
    if (existsSync(paths.download)) assert.equal(sha256(readFileSync(paths.download)), sha256(bytes))
    if (existsSync(paths.image)) assert.equal(sha256(readFileSync(paths.image)), sha256(bytes))
    if (moment % 3 === 2) await pruneCache(await openCache(folder), { everything: true }, never)
  }
  const last = start(t, folder, image)
  assert.equal(await last.ended, 0, last.output())
  assert.deepEqual(readFileSync(paths.image), bytes)
  await pruneCache(await openCache(folder), { everything: true }, never)
  for (const name of ['downloads', 'images', 'locks'])
    assert.deepEqual(readdirSync(join(folder, name)), [], name)
})
