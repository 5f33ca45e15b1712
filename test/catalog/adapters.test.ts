import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { clusterCtrlAdapter } from '../../src/catalog/adapters/clusterctrl.ts'
import { gitHubReleaseAdapter } from '../../src/catalog/adapters/github-release.ts'
import { plainAdapter } from '../../src/catalog/adapters/plain.ts'
import { ubuntuAdapter } from '../../src/catalog/adapters/ubuntu.ts'
import { formatLock, parseLock } from '../../src/catalog/lock.ts'
import { adapters } from '../../src/catalog/lock-image.ts'
import type { LockedImage } from '../../src/catalog/locked-image.ts'
import { openCache } from '../../src/fetch/cache.ts'
import { openPublisherHttp } from '../../src/fetch/publisher-http.ts'
import { cutShort, eager, noise, openTestHttp, quiet, sendFile, serve, sha256 } from '../fetch/support.ts'
import { tempFolder } from '../support/temp.ts'
import { openPublisher } from './support.ts'

const bytes = noise(50_000, 5)
const key = 'other-arm64-lite@1'

/** What the adapters make must pass the schema. */
async function assertValid(image: LockedImage): Promise<void> {
  await parseLock(formatLock({ file: 'l', images: new Map([[image.key, image]]) }), 'l')
}

test('each address belongs to its publisher', () => {
  const nameOf = (url: string) => adapters.find((adapter) => adapter.matches(url))?.name
  assert.equal(nameOf('https://downloads.raspberrypi.com/raspios_lite_armhf_latest'), 'raspberrypi')
  const hypriot =
    'https://github.com/hypriot/image-builder-rpi/releases/download/v1.12.3/hypriotos-rpi-v1.12.3.img.zip'
  assert.equal(nameOf(hypriot), 'github-release')
  assert.equal(nameOf('http://dist2.8086.net/clusterctrl/buster/2020-12-02/x.zip'), 'clusterctrl')
  assert.equal(nameOf('http://cdimage.ubuntu.com/releases/noble/release/x.img.xz'), 'ubuntu')
  assert.equal(nameOf('https://github.com/hypriot/image-builder-rpi'), 'plain')
  assert.equal(nameOf('file:examples/demo.img.xz'), 'plain')
})

test('plain: neither digest nor trust is refused', async (t) => {
  const publisher = await openPublisher(t)
  if (publisher === undefined) return
  const url = `${publisher.server.origin}/x.img.xz`
  publisher.files.set('/x.img.xz', bytes)
  await assert.rejects(publisher.lock(plainAdapter, { url, key }), {
    name: 'UsageError',
    message: 'this publisher is unknown, so nothing says what x.img.xz should be',
    hint: 'Give --sha256 HEX, or accept what comes now with --trust-first-use',
  })
  await assert.rejects(
    publisher.lock(plainAdapter, { url, trustFirstUse: true }),
    /doesn't say which system it is/,
  )
  await assert.rejects(
    publisher.lock(plainAdapter, { url: `${url}/`, key, trustFirstUse: true }),
    /doesn't say how/,
  )
  await assert.rejects(
    publisher.lock(plainAdapter, { url, key, sha256: 'abc' }),
    /--sha256 abc is not 64 hex digits/,
  )
  await assert.rejects(
    publisher.lock(plainAdapter, { url, key: '../x@1' }),
    /"\.\.\/x@1" is not a valid image key/,
  )
  await assert.rejects(
    publisher.lock(plainAdapter, { url: 'ftp://x/y.img', key }),
    /is neither an address \(https:, http:, file:\) nor the name of a known image/,
  )
})

test('plain: --sha256 downloads nothing', async (t) => {
  const publisher = await openPublisher(t)
  if (publisher === undefined) return
  publisher.files.set('/x.img.gz', bytes)
  const url = `${publisher.server.origin}/x.img.gz`
  const image = await publisher.lock(plainAdapter, { url, key, sha256: sha256(bytes).toUpperCase() })
  assert.deepEqual(image.download, {
    size: bytes.length,
    sha256: sha256(bytes),
    source: { kind: 'user', checked: '2026-11-20' },
  })
  assert.equal(image.format, 'gz')
  assert.deepEqual(
    publisher.server.asked.map(({ method }) => method),
    ['HEAD'],
  )
  await assertValid(image)
})

test('plain: --trust-first-use records what came', async (t) => {
  const publisher = await openPublisher(t)
  if (publisher === undefined) return
  publisher.files.set('/x.img', bytes)
  const url = `${publisher.server.origin}/x.img`
  const image = await publisher.lock(plainAdapter, { url, key, trustFirstUse: true })
  assert.equal(image.download.source.kind, 'computed')
  assert.equal(image.download.sha256, sha256(bytes))
  await assertValid(image)
})

test('plain: a file beside the lock keeps its relative address', async (t) => {
  const publisher = await openPublisher(t)
  if (publisher === undefined) return
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'demo.img.zst'), bytes)
  const request = {
    url: 'file:demo.img.zst',
    key,
    trustFirstUse: true,
    lockFile: join(folder, 'images.lock.json'),
  }
  const image = await publisher.lock(plainAdapter, request)
  assert.equal(image.url, pathToFileURL(join(folder, 'demo.img.zst')).href)
  assert.equal(image.written?.url, 'file:demo.img.zst')
  assert.deepEqual([image.download.size, image.download.sha256], [bytes.length, sha256(bytes)])
  assert.equal(publisher.server.asked.length, 0)
  await assertValid(image)
})

test('clusterctrl: first use is recorded as such, in every naming era', async (t) => {
  const publisher = await openPublisher(t)
  if (publisher === undefined) return
  const adapter = clusterCtrlAdapter(publisher.server.origin)
  const eras: [path: string, key: string][] = [
    [
      '/clusterhat/ClusterHAT-2019-04-08-lite-1-controller.zip',
      'clusterctrl-armhf-lite-controller@2019-04-08-1',
    ],
    ['/ClusterCTRL-2020-02-13-lite-1-CBRIDGE.zip', 'clusterctrl-armhf-lite-cbridge@2020-02-13-1'],
    [
      '/clusterctrl/buster/2020-12-02/2020-12-02-1-ClusterCTRL-armhf-lite-CNAT.zip',
      'clusterctrl-buster-armhf-lite-cnat@2020-12-02-1',
    ],
    [
      '/clusterctrl/bookworm/2025-11-24/2025-11-24-1-bookworm-ClusterCTRL-arm64-lite-CBRIDGE.img.xz',
      'clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-1',
    ],
    [
      '/clusterctrl/usbboot/bookworm/2025-11-24/2025-11-24-1-bookworm-ClusterCTRL-arm64-lite-usbboot.tar.xz',
      'clusterctrl-bookworm-arm64-lite-usbboot@2025-11-24-1',
    ],
  ]
  for (const [path, expected] of eras) {
    publisher.files.set(path, bytes)
    const url = `${publisher.server.origin}${path}`
    await assert.rejects(publisher.lock(adapter, { url }), /8086 publishes no checksums, so nothing says/)
    const image = await publisher.lock(adapter, { url, trustFirstUse: true })
    assert.equal(image.key, expected)
    assert.equal(image.download.source.kind, 'computed')
    await assertValid(image)
  }
  await assert.rejects(
    publisher.lock(adapter, { url: `${publisher.server.origin}/x.zip` }),
    /follows no naming scheme/,
  )
})

test('github-release: sidecar, else the digest GitHub made, else the person', async (t) => {
  const publisher = await openPublisher(t)
  if (publisher === undefined) return
  const { files, server } = publisher
  const adapter = gitHubReleaseAdapter({ downloads: server.origin, api: `${server.origin}/api` })
  const name = 'hypriotos-rpi64-v20180429-184538.img.zip'
  const path = `/DieterReuter/image-builder-rpi64/releases/download/v20180429-184538/${name}`
  const url = `${server.origin}${path}`
  files.set('/objects/1', bytes)
  publisher.redirects.set(path, `${server.origin}/objects/1`)
  files.set(`${path}.sha256`, `${sha256(bytes)} *${name}\n`)
  const bySidecar = await publisher.lock(adapter, { url })
  assert.equal(bySidecar.key, 'hypriotos-rpi64@v20180429-184538')
  assert.equal(bySidecar.url, url, 'not the address it redirects to, which expires')
  assert.deepEqual(bySidecar.download, {
    size: bytes.length,
    sha256: sha256(bytes),
    source: { kind: 'publisher-sidecar', url: `${url}.sha256`, checked: '2026-11-20' },
  })
  await assertValid(bySidecar)
  await assert.rejects(publisher.lock(adapter, { url, sha256: sha256('') }), /--sha256 says/)

  files.delete(`${path}.sha256`)
  const api = '/api/repos/DieterReuter/image-builder-rpi64/releases/tags/v20180429-184538'
  files.set(api, JSON.stringify({ assets: [{ name, digest: `sha256:${sha256(bytes)}` }] }))
  const byAsset = await publisher.lock(adapter, { url })
  assert.equal(byAsset.download.source.kind, 'github-asset-digest')
  await assertValid(byAsset)

  files.set(api, JSON.stringify({ assets: [{ name, digest: null }] }))
  await assert.rejects(publisher.lock(adapter, { url }), { name: 'UsageError' })
  assert.equal((await publisher.lock(adapter, { url, trustFirstUse: true })).download.source.kind, 'computed')
  files.set(api, '{}')
  await assert.rejects(publisher.lock(adapter, { url }), /is not a release as GitHub describes one/)
})

test('ubuntu: SHA256SUMS beside the image', async (t) => {
  const publisher = await openPublisher(t)
  if (publisher === undefined) return
  const adapter = ubuntuAdapter(publisher.server.origin)
  const name = 'ubuntu-24.04.3-preinstalled-server-arm64+raspi.img.xz'
  const folder = '/releases/noble/release'
  publisher.files.set(`${folder}/${name}`, bytes)
  publisher.files.set(`${folder}/SHA256SUMS`, `${sha256('')} *other.img.xz\n${sha256(bytes)} *${name}\n`)
  const url = `${publisher.server.origin}${folder}/${name}`
  const image = await publisher.lock(adapter, { url })
  assert.equal(image.key, 'ubuntu-noble-arm64-server@24.04.3')
  assert.equal(image.download.sha256, sha256(bytes))
  await assertValid(image)
  publisher.files.set(`${folder}/SHA256SUMS`, `${sha256('')} *${name}\n${sha256(bytes)} *${name}\n`)
  await assert.rejects(publisher.lock(adapter, { url }), /has two digests for/)
})

test('--offline asks nobody and says so; a file here is still read', async (t) => {
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'x.img'), bytes)
  const cache = await openCache(join(folder, 'cache'))
  const http = openPublisherHttp(cache, { http: openTestHttp(), offline: true, retry: eager }, quiet())
  for (const ask of [
    () => http.head('https://example.org/x'),
    () => http.read('https://example.org/x', 10),
    () => http.file('https://example.org/x', { size: null }),
  ])
    await assert.rejects(ask, { message: 'https://example.org/x must be asked, and --offline forbids it' })
  const file = await http.file(pathToFileURL(join(folder, 'x.img')).href, { size: null })
  assert.equal(file.sha256, sha256(bytes))
})

test('small files are read whole, within their limit, with patience', async (t) => {
  const server = await serve(t, (request, response) => {
    if (server.asked.length === 1) response.writeHead(503).end()
    else if (server.asked.length === 2) cutShort(request, response, bytes, 20_000)
    else sendFile(request, response, bytes)
  })
  const cache = await openCache(tempFolder(t))
  const http = openPublisherHttp(cache, { http: openTestHttp(), offline: false, retry: eager }, quiet())
  assert.deepEqual(await http.read(`${server.origin}/x`, bytes.length), bytes)
  assert.equal(server.asked.length, 3)
  await assert.rejects(http.read(`${server.origin}/x`, bytes.length - 1), /has more than 49999 bytes/)
})
