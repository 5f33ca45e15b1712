import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { DEMO_IMAGE, demoProject } from '../support/project.ts'

const shippedKey = 'raspios-trixie-arm64-lite@2026-06-18'

test('a new lock starts with the shipped entries that the cluster file names', async (t) => {
  const project = demoProject(t)
  rmSync(project.file('images.lock.json'))
  const cluster = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(project.file('cluster.yaml'), cluster.replace(DEMO_IMAGE, shippedKey))
  const said = await project.piimage(
    'images',
    'lock',
    'file:demo.img.xz',
    '--key',
    DEMO_IMAGE,
    '--trust-first-use',
  )
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stderr, new RegExp(`${shippedKey}: copied from the lock that ships`))
  const lock = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8'))
  assert.deepEqual(Object.keys(lock.images), [DEMO_IMAGE, shippedKey])
  const digest = createHash('sha256')
    .update(readFileSync(project.file('demo.img.xz')))
    .digest('hex')
  assert.equal(lock.images[DEMO_IMAGE].download.sha256, digest)
  assert.equal(lock.images[DEMO_IMAGE].download.source.kind, 'computed')
  assert.equal(lock.images[DEMO_IMAGE].url, 'file:demo.img.xz')
})

test('a lock beside the cluster file adds to the one that ships; where both have an image, it counts', async (t) => {
  const project = demoProject(t)
  rmSync(project.file('images.lock.json'))
  const lock = ['images', 'lock', 'file:demo.img.xz', '--trust-first-use']
  assert.equal((await project.piimage(...lock, '--key', 'other-arm64-lite@1')).status, 0)
  rmSync(project.file('images.lock.json.lock'), { force: true })
  // Nothing of the demo's is in it, and the cluster file names the shipped one.
  const own = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8'))
  delete own.images[DEMO_IMAGE]
  writeFileSync(project.file('images.lock.json'), JSON.stringify(own))
  const plan = await project.piimage('plan', '--node', 'oneil')
  assert.equal(plan.status, 0, plan.stderr)
  const listed = (await project.piimage('images', 'list')).stdout
  for (const key of ['other-arm64-lite@1', DEMO_IMAGE, shippedKey])
    assert.match(listed, new RegExp(`^${key} `, 'm'))

  const wrong = { ...own.images['other-arm64-lite@1'], extracted: null }
  wrong.download = { ...wrong.download, sha256: '0'.repeat(64) }
  const both = { ...own, images: { ...own.images, [DEMO_IMAGE]: wrong } }
  writeFileSync(project.file('images.lock.json'), JSON.stringify(both))
  assert.equal((await project.piimage('plan', '--node', 'oneil')).status, 3)

  writeFileSync(project.file('images.lock.json'), JSON.stringify(own))
  const alone = await project.piimage('plan', '--node', 'oneil', '--lock', project.file('images.lock.json'))
  assert.equal(alone.status, 2)
  assert.match(alone.stderr, /is not in the lock/)
  // Everything of one's own, and not of the whole world.
  const fetched = await project.piimage('images', 'fetch', '--all', '--json')
  assert.deepEqual(fetched.events.at(-1)?.fetched, ['other-arm64-lite@1'])
})

test('what nobody vouches for is not locked without being told so', async (t) => {
  const project = demoProject(t)
  const before = readFileSync(project.file('images.lock.json'))
  const said = await project.piimage('images', 'lock', 'file:demo.img.xz', '--key', 'mine-1-arm64-lite@1')
  assert.equal(said.status, 2, said.stderr)
  assert.match(said.stderr, /--sha256.*--trust-first-use|--trust-first-use.*--sha256/s)
  const wrong = await project.piimage(
    'images',
    'lock',
    'file:demo.img.xz',
    '--key',
    'mine-1-arm64-lite@1',
    '--sha256',
    '0'.repeat(64),
  )
  assert.equal(wrong.status, 3, wrong.stderr)
  assert.deepEqual(readFileSync(project.file('images.lock.json')), before)
})

test('list, fetch, verify and prune see the same cache', async (t) => {
  const project = demoProject(t)
  assert.match((await project.piimage('images')).stdout, new RegExp(`^${DEMO_IMAGE} .*computed$`, 'm'))
  assert.equal((await project.piimage('images', 'fetch', DEMO_IMAGE)).status, 0)
  assert.match(
    (await project.piimage('images', 'list')).stdout,
    new RegExp(`^${DEMO_IMAGE} .*unpacked$`, 'm'),
  )
  assert.match((await project.piimage('images', 'verify')).stdout, /1 files checked, 0 damaged/)
  assert.match((await project.piimage('images', 'prune')).stdout, /^0 images removed/m)
  const pruned = await project.piimage('images', 'prune', '--all', '--json')
  const { removed } = pruned.events.at(-1) as unknown as { removed: string[] }
  assert.equal(removed.length, 1)
  assert.ok(!existsSync(project.file(`cache/images/${removed[0]}.img`)))
})

test('an unknown image: near ones are named', async (t) => {
  const said = await demoProject(t).piimage('images', 'fetch', 'demo-trixie-arm64-lite@2025-12-06')
  assert.equal(said.status, 2)
  assert.match(said.stderr, new RegExp(DEMO_IMAGE))
})

test('a file of one’s own is locked by its path, and says what to write', async (t) => {
  const project = demoProject(t)
  for (const [name, key] of [
    ['my-pi.img.xz', /^other-armhf-my-pi@[0-9a-f]{8}$/],
    ['pi-trixie-arm64.img.xz', /^other-arm64-pi-trixie-arm64@[0-9a-f]{8}$/],
  ] as const) {
    copyFileSync(join(packageRoot(), 'examples/demo/demo.img.xz'), project.file(name))
    const said = await project.piimage('images', 'lock', project.file(name))
    assert.equal(said.status, 0, said.stderr)
    const written = /image: (\S+)/.exec(said.stderr)?.[1] ?? ''
    assert.match(written, key)
    const flashed = await project.piimage('flash', '--node', 'oneil', project.file(`${name}.card.img`))
    assert.equal(flashed.status, 0, flashed.stderr)
  }
  const absent = await project.piimage('images', 'lock', project.file('none.img.xz'))
  assert.equal(absent.status, 2)
  assert.match(absent.stderr, /no such file/)
})
