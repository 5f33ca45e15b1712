/** Names of images without a version, and the addresses that a name stands for. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { addressOf } from '../../src/catalog/addresses.ts'
import { readLock } from '../../src/catalog/lock.ts'
import { parseKey } from '../../src/catalog/names.ts'
import { kindsNamed, newestLite, newestNamed } from '../../src/catalog/short-names.ts'
import { packageRoot } from '../../src/package-root.ts'

const images = new Map(
  [
    'raspios-bookworm-arm64-lite@2026-10-01',
    'raspios-bookworm-armhf-lite@2025-05-13',
    'raspios-trixie-arm64-lite@2025-12-04',
    'raspios-trixie-arm64-lite@2026-09-15',
    'raspios-trixie-arm64-full@2026-11-01',
    'clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-1',
    'clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-10',
    'clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-9',
  ].map((key) => {
    const image = parseKey(key)
    assert.ok(image, key)
    return [key, image]
  }),
)

test('a name without its version is the newest of that name', () => {
  for (const [name, key] of [
    ['raspios-trixie-arm64-lite', 'raspios-trixie-arm64-lite@2026-09-15'],
    ['raspios-bookworm-armhf', 'raspios-bookworm-armhf-lite@2025-05-13'],
    // Numbers count as numbers: -10 is newer than -9.
    ['clusterctrl-bookworm-arm64', 'clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-10'],
    ['clusterctrl', 'clusterctrl-bookworm-arm64-lite-cbridge@2025-11-24-10'],
    // Half a word is no name, and one that several kinds have chooses none.
    ['raspios-trixie-arm64-li', undefined],
    ['raspios-trixie-arm64', undefined],
    ['raspios', undefined],
    ['', undefined],
  ] as const)
    assert.equal(newestNamed(images, name), key, name)
  assert.deepEqual(kindsNamed(images, 'raspios-trixie'), [
    'raspios-trixie-arm64-full',
    'raspios-trixie-arm64-lite',
  ])
})

test('the newest for a board is of the newest release', () => {
  assert.equal(newestLite(images, 'arm64'), 'raspios-trixie-arm64-lite@2026-09-15')
  assert.equal(newestLite(images, 'armhf'), 'raspios-bookworm-armhf-lite@2025-05-13')
  assert.equal(newestLite(new Map(), 'arm64'), undefined)
})

test('nobody types an address that is known', async () => {
  const { images: shipped } = await readLock(join(packageRoot(), 'images.lock.json'))
  const trixie = newestNamed(shipped, 'raspios-trixie-arm64-lite') ?? ''
  assert.equal(addressOf('raspios-trixie-arm64-lite', shipped), shipped.get(trixie)?.url)
  assert.match(addressOf('hypriotos-rpi', shipped), /^https:.*hypriotos-rpi-v1\.12\.3\.img\.zip$/)
  assert.match(addressOf('clusterctrl-bookworm-arm64-lite-cbridge', shipped), /^https:.*-CBRIDGE\.img\.xz$/)
  for (const other of ['https://example.org/a.img.xz', 'no-such-image', 'file:///a.img'])
    assert.equal(addressOf(other, shipped), other)
})
