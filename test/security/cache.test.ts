/** Somebody else can write to the cache, or made it: nothing of theirs reaches a card, and nothing of ours goes elsewhere. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { main } from '../../src/cli.ts'
import { type Cache, openCache } from '../../src/fetch/cache.ts'
import { verifyCache } from '../../src/fetch/cache-contents.ts'
import { chooseCacheFolder, chooseStateFolder } from '../../src/fetch/cache-folder.ts'
import { fetchImage } from '../../src/fetch/fetch-image.ts'
import { writeFileAtomically } from '../../src/io/atomic-file.ts'
import { eager, lockedImage, noise, openTestHttp, quiet, sendFile, serve, sha256 } from '../fetch/support.ts'
import { held } from '../support/attack.ts'
import { DEMO_IMAGE, demoProject } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

const packed = noise(50_000, 1)
const raw = noise(200_000, 2)
const poison = noise(200_000, 3)
const image = lockedImage('https://publisher.example/x.img.xz', packed)
const id = sha256(packed)

interface Lab {
  state: string
  cache: Cache
  /** Take the image; which bytes, and whether it was unpacked for that. */
  use(): Promise<{ bytes: Buffer; unpacked: boolean }>
}

async function openLab(t: TestContext): Promise<Lab> {
  const folder = tempFolder(t)
  const state = join(folder, 'state')
  const cache = await openCache(join(folder, 'cache'), { stateFolder: state })
  return {
    state,
    cache,
    async use() {
      let unpacked = false
      // Each use is one of another process.
      const again = await openCache(cache.folder, { stateFolder: state })
      const { path } = await again.withImage(
        image,
        async (partial) => {
          unpacked = true
          writeFileSync(partial, raw)
          return { size: raw.length, sha256: sha256(raw) }
        },
        quiet(),
      )
      return { bytes: readFileSync(path), unpacked }
    },
  }
}

const facts = { size: poison.length, sha256: sha256(poison) }
const said = (cache: Cache) => JSON.parse(readFileSync(cache.entry(id).imageFacts, 'utf8'))

/** What an attacker writes beside the poisoned image. */
const forgeries: Record<string, (lab: Lab) => unknown> = {
  'no code': () => facts,
  'the code of the image that was there': ({ cache }) => ({ ...facts, code: said(cache).code }),
  'an empty code': () => ({ ...facts, code: '' }),
  'a code that is a list': () => ({ ...facts, code: ['0'.repeat(64)] }),
  'a code of zeroes': () => ({ ...facts, code: '0'.repeat(64) }),
  'a plain digest in place of a code': () => ({
    ...facts,
    code: createHash('sha256').update(`piimage/unpacked/1 ${id} ${facts.size} ${facts.sha256}`).digest('hex'),
  }),
  'a code under an empty key': () => ({
    ...facts,
    code: createHmac('sha256', '')
      .update(`piimage/unpacked/1 ${id} ${facts.size} ${facts.sha256}`)
      .digest('hex'),
  }),
  'the record of another user': async ({ cache }) => {
    const other = await openCache(`${cache.folder}-other`, { stateFolder: `${cache.folder}-theirs` })
    return { ...facts, code: await other.witness.sign(id, facts) }
  },
  'the record of another download of this user': async ({ cache, state }) => {
    const { witness } = await openCache(cache.folder, { stateFolder: state })
    return { ...facts, code: await witness.sign(sha256('another'), facts) }
  },
  'no JSON': () => undefined,
}

for (const [what, forge] of Object.entries(forgeries)) {
  test(`a poisoned image with ${what} is unpacked again`, async (t) => {
    const lab = await openLab(t)
    await lab.use()
    const paths = lab.cache.entry(id)
    writeFileSync(paths.imageFacts, JSON.stringify(await forge(lab)) ?? '{')
    writeFileSync(paths.image, poison)
    const checked = await verifyCache(lab.cache, quiet())
    assert.ok(
      checked.every(({ what: kind, ok }) => kind !== 'image' || !ok),
      'verify vouches for it',
    )
    assert.deepEqual(await lab.use(), { bytes: raw, unpacked: true })
    assert.deepEqual(await lab.use(), { bytes: raw, unpacked: false })
    held(t, 2)
  })
}

for (const [what, spoil] of Object.entries({
  'a link to a key that the attacker knows': (key: string) => {
    writeFileSync(`${key}.known`, `${'0'.repeat(64)}\n`)
    rmSync(key)
    symlinkSync(`${key}.known`, key)
  },
  'a second name of such a file': (key: string) => {
    writeFileSync(`${key}.known`, `${'0'.repeat(64)}\n`)
    rmSync(key)
    linkSync(`${key}.known`, key)
  },
  'an empty key': (key: string) => writeFileSync(key, ''),
  'a folder that others may write': (key: string) => {
    writeFileSync(key, `${'0'.repeat(64)}\n`)
    chmodSync(join(key, '..'), 0o777)
  },
})) {
  test(`${what} makes no record`, async (t) => {
    const lab = await openLab(t)
    await lab.use()
    spoil(join(lab.state, 'cache.key'))
    const paths = lab.cache.entry(id)
    const code = createHmac('sha256', Buffer.alloc(32))
      .update(`piimage/unpacked/1 ${id} ${facts.size} ${facts.sha256}`)
      .digest('hex')
    writeFileSync(paths.imageFacts, JSON.stringify({ ...facts, code }))
    writeFileSync(paths.image, poison)
    assert.deepEqual(await lab.use(), { bytes: raw, unpacked: true })
    held(t, 1)
  })
}

test('flash: a poisoned image does not reach the card, and images verify says so', async (t) => {
  const project = demoProject(t)
  const lock = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8'))
  const entry = lock.images[DEMO_IMAGE]
  writeFileSync(
    project.file('images.lock.json'),
    JSON.stringify({ ...lock, images: { [DEMO_IMAGE]: { ...entry, extracted: null } } }),
  )
  assert.equal((await project.piimage('images', 'fetch', DEMO_IMAGE)).status, 0)
  const path = project.file(`cache/images/${entry.download.sha256}.img`)
  const bytes = readFileSync(path)
  bytes.write('POISONED BY WHOEVER', 60_000_000)
  writeFileSync(path, bytes)
  const record = JSON.parse(readFileSync(path.replace(/img$/, 'json'), 'utf8'))
  writeFileSync(path.replace(/img$/, 'json'), JSON.stringify({ ...record, sha256: sha256(bytes) }))
  const verified = await project.piimage('images', 'verify')
  assert.equal(verified.status, 3, verified.stdout)
  assert.match(verified.stdout, /neither the lock nor a record of yours/)
  const flashed = await project.piimage('flash', '--node', 'oneil', project.file('card.img'))
  assert.equal(flashed.status, 0, flashed.stderr)
  assert.ok(!readFileSync(project.file('card.img')).includes('POISONED BY WHOEVER'))
  held(t, 2)
})

const plants: Record<string, (path: string, victim: string) => void> = {
  'a link': (path, victim) => symlinkSync(victim, path),
  'a second name': (path, victim) => linkSync(victim, path),
  'a link to a link': (path, victim) => {
    symlinkSync(victim, `${path}.two`)
    symlinkSync(`${path}.two`, path)
  },
  'a dangling link': (path, victim) => symlinkSync(`${victim}.new`, path),
  'a pipe': (path) => assert.equal(run('mkfifo', [path]).status, 0),
}
const places = ['download', 'downloadPartial', 'image', 'imagePartial', 'imageFacts'] as const

for (const [what, plant] of Object.entries(plants)) {
  for (const place of [...places, 'version'] as const) {
    test(`${what} in place of the ${place} leads nowhere`, async (t) => {
      const lab = await openLab(t)
      const server = await serve(t, (request, response) => sendFile(request, response, packed))
      const victim = join(tempFolder(t), 'victim')
      writeFileSync(victim, 'the victim’s own text', { mode: 0o600 })
      const paths = lab.cache.entry(id)
      plant(place === 'version' ? `${paths.downloadPartial}.json` : paths[place], victim)
      const http = openTestHttp()
      const here = { ...image, url: `${server.origin}/x` }
      const path = await fetchImage(here, lab.cache, { http, offline: false, retry: eager }, quiet())
      assert.deepEqual(readFileSync(path), packed)
      assert.ok(lstatSync(path).isFile())
      assert.deepEqual((await lab.use()).bytes, raw)
      assert.equal(readFileSync(victim, 'utf8'), 'the victim’s own text')
      assert.ok(!existsSync(`${victim}.new`))
      held(t, 1)
    })
  }
}

const unsafe: Record<string, (cache: string) => void> = {
  'everybody may write to it': (cache) => chmodSync(cache, 0o777),
  'everybody may write to it, sticky': (cache) => chmodSync(cache, 0o1777),
  'a group may write to it': (cache) => {
    chownSync(cache, 0, 12_345)
    chmodSync(cache, 0o775)
  },
  'another user made it': (cache) => chownSync(cache, 12_345, 12_345),
  'another user made its downloads': (cache) => chownSync(join(cache, 'downloads'), 12_345, 12_345),
  'everybody may write to its images': (cache) => chmodSync(join(cache, 'images'), 0o777),
  'everybody may write to its locks': (cache) => chmodSync(join(cache, 'locks'), 0o777),
  'another user has the folder above': (cache) => chownSync(join(cache, '..'), 12_345, 12_345),
  'everybody may write to the folder above': (cache) => chmodSync(join(cache, '..'), 0o777),
  'it is a link into another user’s folder': (cache) => {
    const theirs = `${cache}-theirs`
    renameSync(cache, theirs)
    chownSync(theirs, 12_345, 12_345)
    symlinkSync(theirs, cache)
  },
  'its downloads are a link into another user’s folder': (cache) => {
    const theirs = join(cache, '..', 'theirs')
    renameSync(join(cache, 'downloads'), theirs)
    chownSync(theirs, 12_345, 12_345)
    symlinkSync(theirs, join(cache, 'downloads'))
  },
}
for (const [what, spoil] of Object.entries(unsafe)) {
  test(`a cache is refused when ${what}`, async (t) => {
    if (!needRoot(t)) return
    const cache = join(tempFolder(t), 'cache')
    await openCache(cache)
    spoil(cache)
    const before = readdirSync(cache).sort()
    await assert.rejects(openCache(cache), {
      name: 'FetchError',
      message: /is not safe to use: .* (can be written by other users|belongs to another user)/,
      hint: /chmod go-w.*PIIMAGE_CACHE/,
    })
    assert.deepEqual(readdirSync(cache).sort(), before)
    held(t, 1)
  })
}

test('a cache that is safe stays so: a sticky folder above, a link of one’s own, a private group', async (t) => {
  if (!needRoot(t)) return
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'tmp'))
  chmodSync(join(folder, 'tmp'), 0o1777)
  await openCache(join(folder, 'tmp', 'cache'))
  chmodSync(join(folder, 'tmp', 'cache'), 0o775)
  symlinkSync(join(folder, 'tmp', 'cache'), join(folder, 'link'))
  assert.equal((await openCache(join(folder, 'link'))).folder, join(folder, 'tmp', 'cache'))
})

test('modes do not depend on the umask', async (t) => {
  for (const umask of [0, 0o022, 0o277]) {
    const before = process.umask(umask)
    try {
      const lab = await openLab(t)
      const server = await serve(t, (request, response) => sendFile(request, response, packed))
      const http = openTestHttp()
      await fetchImage({ ...image, url: `${server.origin}/x` }, lab.cache, { http, offline: false }, quiet())
      await lab.use()
      for (const name of readdirSync(lab.cache.folder, { recursive: true, encoding: 'utf8' })) {
        const info = statSync(join(lab.cache.folder, name))
        assert.equal(info.mode & 0o777, info.isDirectory() ? 0o700 : 0o600, name)
      }
      assert.equal(statSync(join(lab.state, 'cache.key')).mode & 0o777, 0o600)
      assert.equal(statSync(lab.state).mode & 0o777, 0o700)
    } finally {
      process.umask(before)
    }
  }
})

test('PIIMAGE_CACHE names the cache; --cache goes before it, an empty one counts for nothing', async (t) => {
  const project = demoProject(t)
  const env = { HOME: project.folder, PIIMAGE_CACHE: project.file('mine') }
  const call = (args: string[], more: Record<string, string> = {}) =>
    main([...args, '--cluster', project.file('cluster.yaml')], {
      stdout: { write() {} },
      stderr: { write() {} },
      env: { ...env, ...more },
      cwd: project.folder,
      platform: process.platform,
      now: () => new Date(),
      confirm: async () => false,
      ask: async () => undefined,
      signal: new AbortController().signal,
    })
  assert.equal(await call(['images', 'fetch', DEMO_IMAGE]), 0)
  assert.equal(readdirSync(project.file('mine/images')).length, 2)
  assert.ok(!existsSync(project.file('.cache')))
  assert.equal(await call(['images', 'fetch', DEMO_IMAGE, '--cache', project.file('flag')]), 0)
  assert.equal(readdirSync(project.file('flag/images')).length, 2)
  assert.equal(await call(['images', 'fetch', DEMO_IMAGE], { PIIMAGE_CACHE: '' }), 0)
  assert.equal(readdirSync(project.file('.cache/piimage/images')).length, 2)
})

test('where the folders are, whatever is missing or empty', () => {
  assert.equal(chooseCacheFolder({ HOME: '/h', PIIMAGE_CACHE: '/c' }, 'linux'), '/c')
  assert.equal(chooseCacheFolder({ HOME: '/h', XDG_CACHE_HOME: '' }, 'linux'), '/h/.cache/piimage')
  assert.equal(chooseStateFolder({ HOME: '/h' }, 'linux'), '/h/.local/state/piimage')
  assert.equal(chooseStateFolder({ HOME: '/h', XDG_STATE_HOME: '/s' }, 'linux'), '/s/piimage')
  assert.equal(chooseStateFolder({ HOME: '/h' }, 'darwin'), '/h/Library/Application Support/piimage')
  for (const env of [{}, { HOME: '' }])
    assert.match(chooseCacheFolder(env, 'linux'), /^\/.*\/\.cache\/piimage$/)
})

test('under sudo, what is made in a person’s home is that person’s', async (t) => {
  if (!needRoot(t)) return
  const home = tempFolder(t)
  chownSync(home, 12_345, 12_346)
  const before = { ...process.env }
  Object.assign(process.env, { SUDO_UID: '12345', SUDO_GID: '12346' })
  try {
    const state = join(home, '.local/state/piimage')
    const cache = await openCache(join(home, '.cache/piimage'), { stateFolder: state })
    const server = await serve(t, (request, response) => sendFile(request, response, packed))
    const http = openTestHttp()
    await fetchImage({ ...image, url: `${server.origin}/x` }, cache, { http, offline: false }, quiet())
    const build = async (partial: string) => {
      writeFileSync(partial, raw)
      return { size: raw.length, sha256: sha256(raw) }
    }
    await cache.withImage(image, build, quiet())
    await writeFileAtomically(join(home, 'cluster.yaml'), 'cluster: a\n')
    const names = readdirSync(home, { recursive: true, encoding: 'utf8' })
    assert.ok(names.includes('.local/state/piimage/cache.key'))
    for (const name of names) {
      const { uid, gid } = lstatSync(join(home, name))
      assert.deepEqual({ name, uid, gid }, { name, uid: 12_345, gid: 12_346 })
    }
    // Elsewhere root stays root.
    const elsewhere = join(tempFolder(t), 'file')
    await writeFileAtomically(elsewhere, '')
    assert.equal(statSync(elsewhere).uid, 0)
  } finally {
    process.env = before
  }
})

test('under sudo, so are a new cluster, a baked image and an exported file', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  chownSync(project.folder, 12_345, 12_346)
  const before = { ...process.env }
  Object.assign(process.env, { SUDO_UID: '12345', SUDO_GID: '12346' })
  try {
    for (const args of [
      ['init', project.file('new'), '--template', 'demo'],
      ['bake', '--node', 'oneil', '--output', project.file('rel/one'), '--format', 'img'],
      ['flash', '--node', 'oneil', project.file('card.img')],
      ['export', 'ssh-config', '-o', project.file('out/ssh_config')],
    ]) {
      const said = await project.piimage(...args)
      assert.equal(said.status, 0, said.stderr)
    }
    for (const top of ['new', 'rel', 'card.img', 'out'])
      for (const name of [
        top,
        ...(statSync(project.file(top)).isDirectory()
          ? readdirSync(project.file(top), { recursive: true, encoding: 'utf8' }).map((inner) =>
              join(top, inner),
            )
          : []),
      ])
        assert.equal(lstatSync(project.file(name)).uid, 12_345, name)
  } finally {
    process.env = before
  }
})
