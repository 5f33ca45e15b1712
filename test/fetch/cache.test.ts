import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { LockedImage } from '../../src/catalog/locked-image.ts'
import { FetchError } from '../../src/errors.ts'
import { type Cache, openCache } from '../../src/fetch/cache.ts'
import { listCache, pruneCache, verifyCache } from '../../src/fetch/cache-contents.ts'
import { chooseCacheFolder, entryPaths } from '../../src/fetch/cache-folder.ts'
import { fetchImage } from '../../src/fetch/fetch-image.ts'
import { tempFolder } from '../support/temp.ts'
import { eager, lockedImage, noise, openTestHttp, quiet, sendFile, serve, sha256 } from './support.ts'

const never = new AbortController().signal

const packed = noise(200_000, 11)
const raw = noise(600_000, 12)

/** A builder as the unpacker is one: writes `bytes`, says what it wrote. */
const building =
  (bytes: Buffer, calls: string[] = []) =>
  async (partial: string) => {
    calls.push(partial)
    writeFileSync(partial, bytes)
    return { size: bytes.length, sha256: sha256(bytes) }
  }

const withExtracted = (image: LockedImage, bytes: Buffer): LockedImage => ({
  ...image,
  extracted: { size: bytes.length, sha256: sha256(bytes), source: { kind: 'user' } },
})

const folders: { name: string; env: Record<string, string>; platform: NodeJS.Platform; folder: string }[] = [
  { name: 'Linux', env: { HOME: '/home/me' }, platform: 'linux', folder: '/home/me/.cache/piimage' },
  { name: 'XDG', env: { HOME: '/h', XDG_CACHE_HOME: '/var/c' }, platform: 'linux', folder: '/var/c/piimage' },
  {
    name: 'relative XDG',
    env: { HOME: '/h', XDG_CACHE_HOME: 'c' },
    platform: 'linux',
    folder: '/h/.cache/piimage',
  },
  {
    name: 'macOS',
    env: { HOME: '/Users/me' },
    platform: 'darwin',
    folder: '/Users/me/Library/Caches/piimage',
  },
  {
    name: 'Windows',
    env: { LOCALAPPDATA: 'C:\\Users\\me\\AppData\\Local' },
    platform: 'win32',
    folder: 'C:\\Users\\me\\AppData\\Local\\piimage\\Cache',
  },
]
for (const { name, env, platform, folder } of folders) {
  test(`chooseCacheFolder: ${name}`, () => assert.equal(chooseCacheFolder(env, platform), folder))
}

test('only digests become paths', () => {
  for (const id of ['../x', '', 'A'.repeat(64), `${'a'.repeat(64)}/..`, 'url-', '__proto__'])
    assert.throws(() => entryPaths('/c', id), { name: 'UsageError' }, id)
})

test('a cache folder that cannot be made is an error with a next step', async (t) => {
  const file = join(tempFolder(t), 'file')
  writeFileSync(file, '')
  await assert.rejects(openCache(join(file, 'cache')), { name: 'FetchError', hint: /--cache DIR/ })
})

test('withImage builds once, then gives what is there', async (t) => {
  const cache = await openCache(tempFolder(t))
  const image = withExtracted(lockedImage('https://x/', packed), raw)
  const calls: string[] = []
  const built = await cache.withImage(image, building(raw, calls), quiet())
  assert.deepEqual(built, { path: cache.entry(sha256(packed)).image, size: raw.length, sha256: sha256(raw) })
  assert.deepEqual(await cache.withImage(image, building(raw, calls), quiet()), built)
  assert.deepEqual(calls, [cache.entry(sha256(packed)).imagePartial])
  assert.deepEqual(readFileSync(built.path), raw)
})

test('a folder where a file is kept: said, and nothing is built', async (t) => {
  const cache = await openCache(tempFolder(t))
  const image = withExtracted(lockedImage('https://x/', packed), raw)
  const { locks: _, ...files } = cache.entry(sha256(packed))
  for (const path of Object.values(files)) {
    mkdirSync(path)
    const calls: string[] = []
    await assert.rejects(cache.withImage(image, building(raw, calls), quiet()), {
      name: 'FetchError',
      message: `${path} is a folder, where the cache keeps a file`,
    })
    assert.deepEqual(calls, [])
    rmdirSync(path)
  }
  await cache.withImage(image, building(raw, []), quiet())
})

test('withImage keeps nothing of what the lock does not name, or what failed', async (t) => {
  const cache = await openCache(tempFolder(t))
  const image = withExtracted(lockedImage('https://x/', packed), raw)
  const wrong = noise(raw.length, 13)
  await assert.rejects(cache.withImage(image, building(wrong), quiet()), {
    name: 'DigestError',
    message: `sha256 of the image in ${image.key} (${raw.length} bytes) is ${sha256(wrong)}; images.lock.json says ${sha256(raw)}`,
  })
  const failing = async (partial: string) => {
    writeFileSync(partial, raw.subarray(0, 100))
    throw new FetchError('truncated')
  }
  await assert.rejects(cache.withImage(image, failing, quiet()), { message: 'truncated' })
  assert.deepEqual(readdirSync(join(cache.folder, 'images')), [])
  assert.deepEqual(readdirSync(join(cache.folder, 'locks')), [])
})

test('build may fetch: the two locks are different ones', async (t) => {
  const server = await serve(t, (request, response) => sendFile(request, response, packed))
  const cache = await openCache(tempFolder(t))
  const http = openTestHttp()
  const image = withExtracted(lockedImage(`${server.origin}/x`, packed), raw)
  const build = async (partial: string) => {
    await fetchImage(image, cache, { http, offline: false, retry: eager }, quiet())
    return building(raw)(partial)
  }
  assert.equal((await cache.withImage(image, build, quiet())).sha256, sha256(raw))
})

/** One flipped bit at `count` places, spread over the file. */
function* flips(length: number, count: number): Generator<number> {
  for (let n = 0; n < count; n += 1) yield Math.floor((n * (length - 1)) / (count - 1))
}

test('one flipped bit in the cache, anywhere, is caught, named and cleared away', async (t) => {
  const cache = await openCache(tempFolder(t))
  const server = await serve(t, (request, response) => sendFile(request, response, packed))
  const http = openTestHttp()
  const image = withExtracted(lockedImage(`${server.origin}/x`, packed), raw)
  const paths = cache.entry(sha256(packed))
  const fetch = () => fetchImage(image, cache, { http, offline: false, retry: eager }, quiet())
  const unpack = () => cache.withImage(image, building(raw), quiet())
  for (const [path, use, length] of [
    [paths.download, fetch, packed.length],
    [paths.image, unpack, raw.length],
  ] as const) {
    for (const at of flips(length, 20)) {
      await use()
      const damaged = readFileSync(path)
      damaged[at] = (damaged[at] ?? 0) ^ 1
      writeFileSync(path, damaged)
      await assert.rejects(use(), (error: FetchError) => {
        assert.equal(error.exitCode, 3)
        assert.ok(error.message.startsWith(`sha256 of ${path} is `), error.message)
        assert.match(error.hint ?? '', /damaged in the cache and is removed; run again/)
        return true
      })
      assert.ok(!existsSync(path))
    }
  }
})

test('a cut image is caught even without hashing', async (t) => {
  const cache = await openCache(tempFolder(t))
  const image = lockedImage('https://x/', packed)
  const { path } = await cache.withImage(image, building(raw), quiet())
  truncateSync(path, 1000)
  await assert.rejects(cache.withImage(image, building(raw), quiet(), { recheck: false }), {
    name: 'DigestError',
  })
})

test('a part that rotted between runs is noticed by its digest and fetched afresh', async (t) => {
  const server = await serve(t, (request, response) => sendFile(request, response, packed))
  const cache = await openCache(tempFolder(t))
  const { downloadPartial } = cache.entry(sha256(packed))
  const url = `${server.origin}/x`
  writeFileSync(downloadPartial, Buffer.alloc(100_000))
  const version = { url, validator: '"v1"', totalBytes: packed.length }
  writeFileSync(`${downloadPartial}.json`, JSON.stringify(version))
  const options = { http: openTestHttp(), offline: false, retry: eager }
  const path = await fetchImage(lockedImage(url, packed), cache, options, quiet())
  assert.deepEqual(readFileSync(path), packed)
  assert.deepEqual(
    server.asked.map(({ headers }) => headers.range),
    ['bytes=100000-', undefined],
  )
})

/** A `file:` image in a folder of its own. */
async function local(
  t: TestContext,
): Promise<{ path: string; image: LockedImage; cache: Cache; fetch: () => Promise<string> }> {
  const folder = tempFolder(t)
  const path = join(folder, 'demo image.img.xz')
  writeFileSync(path, packed)
  const image = lockedImage(pathToFileURL(path).href, packed)
  const cache = await openCache(join(folder, 'cache'))
  const http = openTestHttp()
  return { path, image, cache, fetch: () => fetchImage(image, cache, { http, offline: true }, quiet()) }
}

test('a file: image is used where it lies, offline too', async (t) => {
  const { path, cache, fetch } = await local(t)
  assert.equal(await fetch(), path)
  assert.deepEqual(await listCache(cache), [])
})

test('a file: image that is another one, or absent, is refused and left alone', async (t) => {
  const { path, fetch } = await local(t)
  for (const at of flips(packed.length, 20)) {
    const damaged = Buffer.from(packed)
    damaged[at] = (damaged[at] ?? 0) ^ 0x80
    writeFileSync(path, damaged)
    await assert.rejects(fetch(), { name: 'DigestError', message: new RegExp(`^sha256 of ${path} is `) })
    assert.deepEqual(readFileSync(path), damaged)
  }
  const { fetch: fetchAbsent, image } = await local(t)
  image.url += '.gone'
  await assert.rejects(fetchAbsent(), {
    name: 'FetchError',
    message: /demo%20image\.img\.xz\.gone of .* can't be read: ENOENT/,
  })
})

test('a file: image that changes while it is unpacked is noticed', async (t) => {
  const { path, image, cache, fetch } = await local(t)
  const build = async (partial: string) => {
    await copyFile(await fetch(), partial)
    appendFileSync(path, 'more')
    return { size: packed.length, sha256: sha256(packed) }
  }
  await assert.rejects(cache.withImage(image, build, quiet()), {
    message: `${path} changed while it was read`,
  })
  assert.deepEqual(readdirSync(join(cache.folder, 'images')), [])
})

/** A cache with two whole entries, `a` long unused, and an unfinished third. */
async function filled(t: TestContext): Promise<{ cache: Cache; a: string; b: string; c: string }> {
  const cache = await openCache(tempFolder(t))
  const [a, b, c] = [packed, raw, noise(1000)].map(sha256) as [string, string, string]
  for (const [id, bytes] of [
    [a, packed],
    [b, raw],
  ] as const) {
    writeFileSync(cache.entry(id).download, bytes)
    await cache.withImage(lockedImage('https://x/', bytes), building(raw), quiet())
  }
  const old = new Date('2020-01-01')
  for (const path of [cache.entry(a).download, cache.entry(a).image]) utimesSync(path, old, old)
  writeFileSync(cache.entry(c).downloadPartial, noise(1000))
  writeFileSync(cache.entry(c).imagePartial, noise(1000))
  writeFileSync(`${cache.entry(b).imageFacts}.123-00000000.part`, 'torn by a crash')
  return { cache, a, b, c }
}

test('listCache shows what is whole and what is not', async (t) => {
  const { cache, a, b, c } = await filled(t)
  const entries = await listCache(cache)
  assert.deepEqual(
    entries.map(({ id }) => id),
    [a, b, c].sort(),
  )
  const entry = entries.find(({ id }) => id === a)
  assert.ok((entry?.downloadBytes ?? 0) >= packed.length && (entry?.imageBytes ?? 0) >= raw.length)
  assert.equal(entry?.partialBytes, 0)
  assert.equal(entry?.usedAt.toISOString(), '2020-01-01T00:00:00.000Z')
  assert.ok((entries.find(({ id }) => id === c)?.partialBytes ?? 0) >= 2000)
})

const prunes: {
  name: string
  choose: (ids: { a: string; b: string }) => Parameters<typeof pruneCache>[1]
  left: 'none' | 'b' | 'ab'
}[] = [
  { name: 'everything', choose: () => ({ everything: true }), left: 'none' },
  { name: 'what the lock does not name', choose: ({ b }) => ({ keep: new Set([b]) }), left: 'b' },
  { name: 'what was not used since', choose: () => ({ unusedSince: new Date('2021-01-01') }), left: 'b' },
  { name: 'nothing but what is not whole', choose: ({ a, b }) => ({ keep: new Set([a, b]) }), left: 'ab' },
]
for (const { name, choose, left } of prunes) {
  test(`pruneCache: ${name}`, async (t) => {
    const { cache, a, b, c } = await filled(t)
    const choice = choose({ a, b })
    const before = await listCache(cache)
    const plan = await pruneCache(cache, choice, never, false)
    assert.deepEqual(await listCache(cache), before, 'a rehearsal removes nothing')
    const pruned = await pruneCache(cache, choice, never)
    assert.deepEqual(pruned, plan)
    const kept = { none: [], b: [b], ab: [a, b] }[left].sort()
    assert.deepEqual(
      (await listCache(cache)).map(({ id }) => id),
      kept,
    )
    const wanted = 'keep' in choice ? [a, b, c].filter((id) => !choice.keep.has(id)) : pruned.removed
    assert.deepEqual(pruned.removed, wanted.sort())
    assert.ok(pruned.freedBytes >= 2000)
    for (const folder of ['downloads', 'images', 'locks'])
      assert.ok(
        !readdirSync(join(cache.folder, folder)).some((file) => file.includes('.part') || file.includes(c)),
      )
  })
}

test('prune waits until a lock without a name in it is known to be a dead one’s', async (t) => {
  const { cache, a, b, c } = await filled(t)
  for (const lock of Object.values(cache.entry(a).locks)) writeFileSync(lock, '')
  const pruned = await pruneCache(cache, { everything: true }, never)
  assert.deepEqual([pruned.removed, pruned.busy], [[a, b, c].sort(), []])
  assert.deepEqual(readdirSync(join(cache.folder, 'locks')), [])
})

test('prune can be stopped while it waits for a lock', async (t) => {
  const { cache, a } = await filled(t)
  writeFileSync(cache.entry(a).locks.image, '')
  const stopped = pruneCache(cache, { everything: true }, AbortSignal.abort(new Error('enough')))
  await assert.rejects(stopped, /enough/)
  const soon = new AbortController()
  const waits = pruneCache(cache, { everything: true }, soon.signal)
  setTimeout(() => soon.abort(new Error('enough')), 50)
  await assert.rejects(waits, /enough/)
  assert.deepEqual(readdirSync(join(cache.folder, 'locks')), [basename(cache.entry(a).locks.image)])
})

test('prune touches only what is named as the cache names things', async (t) => {
  const cache = await openCache(tempFolder(t))
  writeFileSync(join(cache.folder, 'downloads', 'my notes.txt'), 'x')
  mkdirSync(join(cache.folder, 'images', 'holiday'))
  await pruneCache(cache, { everything: true }, never)
  assert.ok(existsSync(join(cache.folder, 'downloads', 'my notes.txt')))
  assert.ok(existsSync(join(cache.folder, 'images', 'holiday')))
})

test('verifyCache hashes everything and names what is damaged', async (t) => {
  const { cache, a, b } = await filled(t)
  assert.deepEqual(
    (await verifyCache(cache, quiet())).map(({ id, what, ok }) => [id, what, ok]),
    [
      ...[a, b].sort().flatMap((id) => [
        [id, 'download', true],
        [id, 'image', true],
      ]),
    ],
  )
  truncateSync(cache.entry(a).image, 10)
  writeFileSync(cache.entry(b).download, packed)
  const bad = (await verifyCache(cache, quiet())).filter(({ ok }) => !ok)
  assert.deepEqual(
    bad.map(({ id, what }) => [id, what]).sort(),
    [
      [a, 'image'],
      [b, 'download'],
    ].sort(),
  )
  assert.equal(bad.find(({ id }) => id === b)?.actual, a)
})
