import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import * as openpgp from 'openpgp'
import { raspberryPiAdapter } from '../../src/catalog/adapters/raspberrypi.ts'
import { formatLock, parseLock } from '../../src/catalog/lock.ts'
import type { Adapter } from '../../src/catalog/publisher.ts'
import { FetchError } from '../../src/errors.ts'
import { noise, sha256 } from '../fetch/support.ts'
import { known } from '../support/known.ts'
import { openPublisher, type Publisher } from './support.ts'

const image = noise(300_000, 3)
const raw = noise(900_000, 4)
const folder = '/raspios_lite_arm64/images/raspios_lite_arm64-2026-06-19'
const name = '2026-06-18-raspios-trixie-arm64-lite.img.xz'
const path = `${folder}/${name}`

const made = openpgp.generateKey({
  type: 'rsa',
  rsaBits: 2048,
  userIDs: [{ name: 'Test' }],
  format: 'object',
})
const stranger = openpgp.generateKey({ type: 'ecc', userIDs: [{ name: 'Stranger' }], format: 'object' })

const sign = async (bytes: Uint8Array, key: openpgp.PrivateKey): Promise<Buffer> =>
  Buffer.from(
    (await openpgp.sign({
      message: await openpgp.createMessage({ binary: bytes }),
      signingKeys: key,
      detached: true,
      format: 'binary',
    })) as Uint8Array,
  )

interface Set {
  publisher: Publisher
  adapter: Adapter
  url: string
  entry: Record<string, unknown>
  /** Put the catalogue with `entry` in place. */
  publish(): void
}

/** Everything in order, as the publisher has it on a good day. */
async function goodDay(t: TestContext): Promise<Set | undefined> {
  const publisher = await openPublisher(t)
  if (publisher === undefined) return undefined
  const { files, server } = publisher
  const { privateKey, publicKey } = await made
  const url = `${server.origin}${path}`
  const entry: Record<string, unknown> = {
    name: 'Raspberry Pi OS Lite (64-bit)',
    url,
    extract_size: raw.length,
    extract_sha256: sha256(raw),
    image_download_size: image.length,
  }
  const publish = () => {
    files.set(
      '/os_list.json',
      JSON.stringify({
        imager: { latest_version: '2.0.0' },
        os_list: [
          { name: 'Another vendor', subitems_url: 'https://example.org/not-followed.json' },
          { name: 'Other sizes', subitems: [{ name: 'More', subitems_url: `${server.origin}/more.json` }] },
        ],
      }),
    )
    files.set('/more.json', JSON.stringify({ os_list: [null, { name: 'x', subitems: [entry] }] }))
  }
  files.set(path, image)
  files.set(`${path}.sha256`, `${sha256(image)}  ${name}\n`)
  files.set(`${path}.sig`, await sign(image, privateKey))
  files.set('/key', publicKey.armor())
  publish()
  const adapter = raspberryPiAdapter({
    downloads: server.origin,
    catalogue: `${server.origin}/os_list.json`,
    key: `${server.origin}/key`,
    fingerprint: publicKey.getFingerprint().toUpperCase(),
  })
  return { publisher, adapter, url, entry, publish }
}

test('raspberrypi: sidecar, catalogue, length and signature agree', async (t) => {
  const day = await goodDay(t)
  if (day === undefined) return
  const { publisher, adapter, url } = day
  const locked = await publisher.lock(adapter, { url })
  const { publicKey } = await made
  assert.deepEqual(known(locked), {
    key: 'raspios-trixie-arm64-lite@2026-06-18',
    os: 'raspios',
    release: 'trixie',
    version: '2026-06-18',
    arch: 'arm64',
    variant: 'lite',
    format: 'xz',
    url,
    download: {
      size: image.length,
      sha256: sha256(image),
      source: {
        kind: 'publisher-sidecar',
        url: `${url}.sha256`,
        checked: '2026-11-20',
        signedBy: publicKey.getFingerprint().toUpperCase(),
      },
    },
    extracted: {
      size: raw.length,
      sha256: sha256(raw),
      source: {
        kind: 'publisher-catalog',
        url: `${publisher.server.origin}/more.json`,
        checked: '2026-11-20',
      },
    },
  })
  const text = formatLock({ file: 'l', images: new Map([[locked.key, locked]]) })
  assert.deepEqual(
    known((await parseLock(text, 'l')).images.get(locked.key)),
    known(locked),
    'the schema accepts it',
  )
  assert.ok(
    existsSync(publisher.cache.entry(sha256(image)).download),
    'what was checked need not be fetched again',
  )
})

test('raspberrypi: _latest is resolved now and not stored', async (t) => {
  const day = await goodDay(t)
  if (day === undefined) return
  const { publisher, adapter, url } = day
  publisher.redirects.set('/raspios_lite_arm64_latest', url)
  const locked = await publisher.lock(adapter, {
    url: `${publisher.server.origin}/raspios_lite_arm64_latest`,
  })
  assert.equal(locked.url, url)
  publisher.redirects.set('/raspios_lite_arm64_latest', `${publisher.server.origin}/key`)
  await assert.rejects(
    publisher.lock(adapter, { url: `${publisher.server.origin}/raspios_lite_arm64_latest` }),
    /leads to no dated Raspberry Pi OS image, but to https:.*\/key/,
  )
})

test('raspberrypi: an older image is in no catalogue; what is in it stays open', async (t) => {
  const day = await goodDay(t)
  if (day === undefined) return
  day.publisher.files.set('/os_list.json', '{"os_list": []}')
  const locked = await day.publisher.lock(day.adapter, { url: day.url })
  assert.equal(locked.extracted, null)
  assert.equal(locked.download.sha256, sha256(image))
})

test('raspberrypi: without the signature only when asked', async (t) => {
  const day = await goodDay(t)
  if (day === undefined) return
  const { publisher, adapter, url } = day
  publisher.files.delete(`${path}.sig`)
  await assert.rejects(publisher.lock(adapter, { url }), { name: 'FetchError', hint: /--no-signature/ })
  const locked = await publisher.lock(adapter, { url, skipSignature: true })
  assert.equal(locked.download.source.signedBy, undefined)
  const asked = publisher.server.asked.filter((request) => request.method === 'GET' && request.url === path)
  assert.equal(asked.length, 0, 'the image itself was not downloaded')
})

const lies: { name: string; lie: (day: Set) => unknown; says: RegExp; request?: object }[] = [
  {
    name: 'the sidecar is for other bytes',
    lie: ({ publisher }) => publisher.files.set(`${path}.sha256`, `${sha256(raw)}  ${name}\n`),
    // Also the digest of the image inside: the commonest mistake in other people's lists.
    says: new RegExp(`gives ${sha256(raw)} for the image in ${name}, which is the digest of the download`),
  },
  {
    name: 'the bytes are not those of the sidecar',
    lie: ({ publisher }) => publisher.files.set(path, noise(image.length, 9)),
    says: new RegExp(
      `^FetchError: sha256 of https.* is ${sha256(noise(image.length, 9))}; its publisher says ${sha256(image)}`,
    ),
  },
  {
    name: 'the sidecar names another file',
    lie: ({ publisher }) => publisher.files.set(`${path}.sha256`, `${sha256(image)}  another.img.xz\n`),
    says: /has no line for 2026-06-18.*; it has another\.img\.xz/,
  },
  {
    name: 'the sidecar is a web page',
    lie: ({ publisher }) => publisher.files.set(`${path}.sha256`, '<html>log in</html>'),
    says: /is not a checksum file: "<html>log in<\/html>"/,
  },
  {
    name: 'the catalogue gives another size',
    lie: (day) => {
      day.entry.image_download_size = image.length + 1
      day.publish()
    },
    says: new RegExp(
      `size of ${name} in bytes: Content-Length of https.* says ${image.length}; https.* says ${image.length + 1}`,
    ),
  },
  {
    name: 'the catalogue gives another digest of the download',
    lie: (day) => {
      day.entry.image_download_sha256 = sha256('x')
      day.publish()
    },
    says: new RegExp(
      `sha256 of ${name}: https.*\\.sha256 says ${sha256(image)}; https.* says ${sha256('x')}`,
    ),
  },
  {
    name: 'the catalogue has the entry without its digest',
    lie: (day) => {
      day.entry.extract_sha256 = 'later'
      day.publish()
    },
    says: /gives extract_sha256 of https.* as "later"/,
  },
  {
    name: 'the catalogue is not JSON',
    lie: ({ publisher }) => publisher.files.set('/os_list.json', '<html>'),
    says: /the catalogue .* is not JSON/,
  },
  {
    name: 'the person knows another digest',
    lie: () => {},
    request: { sha256: sha256('y') },
    says: /--sha256 says [0-9a-f]{64}/,
  },
  {
    name: 'a signature over another file',
    lie: async ({ publisher }) =>
      publisher.files.set(`${path}.sig`, await sign(raw, (await made).privateKey)),
    says: /the signature .*\.sig over .* does not hold: Signed digest did not match/,
  },
  {
    name: 'a signature by somebody else',
    lie: async ({ publisher }) =>
      publisher.files.set(`${path}.sig`, await sign(image, (await stranger).privateKey)),
    says: /the signature .* does not hold: Could not find (valid )?signing key/i,
  },
  {
    name: 'a signature that is none',
    lie: ({ publisher }) => publisher.files.set(`${path}.sig`, noise(500)),
    says: /the signature .* can't be read/,
  },
  {
    name: 'a damaged signature',
    lie: async ({ publisher }) => {
      const signature = await sign(image, (await made).privateKey)
      signature[signature.length - 5] = (signature[signature.length - 5] ?? 0) ^ 1
      publisher.files.set(`${path}.sig`, signature)
    },
    says: /does not hold: Signature verification failed/,
  },
  {
    name: 'another key under the known address',
    lie: async ({ publisher }) => publisher.files.set('/key', (await stranger).publicKey.armor()),
    says: /has the key [0-9A-F]{40}; piimage trusts only [0-9A-F]{40}/,
  },
]
for (const { name: title, lie, says, request } of lies) {
  test(`raspberrypi refuses: ${title}`, async (t) => {
    const day = await goodDay(t)
    if (day === undefined) return
    await lie(day)
    await assert.rejects(day.publisher.lock(day.adapter, { url: day.url, ...request }), (error: Error) => {
      assert.ok(error instanceof FetchError, String(error.stack))
      assert.match(String(error), says)
      return true
    })
  })
}

test('raspberrypi: the old host, and http, are the same place', () => {
  const adapter = raspberryPiAdapter()
  for (const url of [
    'https://downloads.raspberrypi.com/raspios_lite_arm64_latest',
    'http://downloads.raspberrypi.org/x/2019-04-08-raspbian-stretch-lite.zip',
  ])
    assert.ok(adapter.matches(url), url)
  for (const url of [
    'https://downloads.raspberrypi.com.evil.org/x',
    'https://evil.org/downloads.raspberrypi.com/x',
  ])
    assert.ok(!adapter.matches(url), url)
})
