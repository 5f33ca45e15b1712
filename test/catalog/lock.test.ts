import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { addToLock, findImage, formatLock, parseLock, readLock, sameImage } from '../../src/catalog/lock.ts'
import type { LockedImage } from '../../src/catalog/locked-image.ts'
import { formatKey, parseImageName } from '../../src/catalog/names.ts'
import { MistakesError, UsageError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { tempFolder } from '../support/temp.ts'

const shipped = join(packageRoot(), 'images.lock.json')
const digest = 'acff736ca7945e3b305f07cda4abdb870910e12634991da69783611756e381b3'

const entry = (changes: object = {}): object => ({
  os: 'other',
  release: null,
  version: '1',
  arch: 'arm64',
  variant: 'lite',
  url: 'https://example.org/x.img.xz',
  format: 'xz',
  download: { size: 10, sha256: digest, source: { kind: 'user' } },
  extracted: null,
  ...changes,
})
const lockText = (images: object, more: object = {}): string =>
  JSON.stringify({ lockfileVersion: 1, images, ...more }, null, 2)

test('the shipped lock follows the schema and is formatted as we write it', async () => {
  const lock = await readLock(shipped)
  assert.equal(formatLock(lock), await readFile(shipped, 'utf8'))
})

test('the shipped Raspberry Pi OS entries agree with their file names', async () => {
  const lock = await readLock(shipped)
  let seen = 0
  for (const image of lock.images.values()) {
    if (image.os !== 'raspios' && image.os !== 'raspbian') continue
    const name = parseImageName(image.url)
    assert.ok(name, image.url)
    const { os, release, version, arch, variant, format } = image
    assert.deepEqual(name, { os, release, version, arch, variant, format })
    assert.equal(formatKey(name), image.key)
    assert.match(image.url, /^https:\/\/downloads\.raspberrypi\.(com|org)\//)
    seen += 1
  }
  assert.ok(seen >= 25, `${seen} entries`)
})

test('a relative file: URL is resolved against the lock, and written as it was', async (t) => {
  const folder = tempFolder(t)
  const path = join(folder, 'images.lock.json')
  const text = `${lockText({ 'demo@1': entry({ url: 'file:examples/a b.img.xz', mirrors: ['https://example.org/x'] }) })}\n`
  await writeFile(path, text)
  const lock = await readLock(path)
  const image = findImage(lock, 'demo@1')
  assert.equal(image.url, pathToFileURL(join(folder, 'examples/a b.img.xz')).href)
  assert.deepEqual(image.mirrors, ['https://example.org/x'])
  const again = JSON.parse(formatLock(lock))
  assert.equal(again.images['demo@1'].url, 'file:examples/a b.img.xz')
})

test('keys are sorted and a second formatting changes nothing', async () => {
  const lock = await parseLock(lockText({ 'b@1': entry(), 'a@1': entry(), 'a@10': entry() }), 'l.json')
  const text = formatLock(lock)
  assert.deepEqual(Object.keys(JSON.parse(text).images), ['a@1', 'a@10', 'b@1'])
  assert.ok(text.endsWith('}\n'))
  assert.equal(formatLock(await parseLock(text, 'l.json')), text)
})

const mistakes: { name: string; text: string; says: RegExp[] }[] = [
  { name: 'not JSON', text: '{\n  "lockfileVersion": 1,\n}', says: [/^l\.json:3:1: not JSON/] },
  { name: 'nothing at all', text: '', says: [/^l\.json:1:1: not JSON/] },
  { name: 'a comment is not JSON', text: '# x\n{}', says: [/^l\.json:1:1: not JSON/] },
  {
    name: 'a key twice',
    text: '{"lockfileVersion": 1, "images": {},\n "images": {}}',
    says: [/^l\.json:2:2: this key stands twice/],
  },
  { name: 'no images', text: '{"lockfileVersion": 1}', says: [/^l\.json:1:1: "images" is missing/] },
  {
    name: 'old format',
    text: lockText({}, { lockfileVersion: 0 }),
    says: [/^l\.json:2:22: lockfileVersion: is 0, must be 1/],
  },
  {
    name: 'several at once, in reading order',
    text: lockText({ 'x@1': entry({ arch: 'riscv', url: 'ftp://x/y', color: 1 }) }),
    says: [
      /^l\.json:8:15: arch: "riscv" is none of armhf, arm64/m,
      /^l\.json:10:14: url: is "ftp:\/\/x\/y".*https:, http: or file:/m,
      /^l\.json:20:7: x@1: unknown key "color"/m,
    ],
  },
  {
    name: 'a key that could be a path',
    text: lockText({ '../../etc/passwd@x': entry(), '..@x': entry() }),
    says: [/:4:5: images: "\.\.\/\.\.\/etc\/passwd@x" is not a valid image key/, /"\.\.@x" is not a valid/],
  },
  {
    name: '__proto__',
    text: `{"lockfileVersion":1,"images":{"__proto__":${JSON.stringify(entry())}}}`,
    says: [/"__proto__" is not a valid image key/],
  },
  {
    name: 'upper-case digest',
    text: lockText({
      'x@1': entry({ download: { size: null, sha256: digest.toUpperCase(), source: { kind: 'user' } } }),
    }),
    says: [/:14:19: sha256: is "ACFF.*64 lower-case hex digits/],
  },
  {
    name: 'third party without a citation',
    text: lockText({
      'x@1': entry({ extracted: { size: 1, sha256: digest, source: { kind: 'third-party' } } }),
    }),
    says: [/source: "detail" is missing/],
  },
  {
    name: 'publisher without its page',
    text: lockText({
      'x@1': entry({ download: { size: 1, sha256: digest, source: { kind: 'publisher-sidecar' } } }),
    }),
    says: [/source: "url" is missing/, /source: "checked" is missing/],
  },
  {
    name: 'a member with a path in it',
    text: lockText({ 'x@1': entry({ member: '../x.img' }) }),
    says: [/member: is "\.\.\/x\.img"/],
  },
  { name: 'absurd nesting', text: '['.repeat(200_000) + ']'.repeat(200_000), says: [/^l\.json:1:1: /] },
]
for (const { name, text, says } of mistakes) {
  test(`lock mistakes: ${name}`, async () => {
    await assert.rejects(parseLock(text, 'l.json'), (error: Error) => {
      assert.ok(error instanceof MistakesError, String(error.stack))
      for (const pattern of says) assert.match(error.message, pattern)
      return true
    })
  })
}

test('a lock of a newer piimage is refused as such', async () => {
  await assert.rejects(parseLock('{"lockfileVersion": 2, "pictures": {}}', 'l.json'), (error: Error) => {
    assert.ok(error instanceof UsageError && !(error instanceof MistakesError))
    assert.match(error.message, /l\.json has lockfileVersion 2: it was made by a newer piimage/)
    return true
  })
})

test('a lock that is not there names the file and the next step', async (t) => {
  const path = join(tempFolder(t), 'none.json')
  await assert.rejects(readLock(path), {
    name: 'UsageError',
    message: `the lock file ${path} can't be read: ENOENT`,
  })
})

test('findImage names what was probably meant', async () => {
  const lock = await readLock(shipped)
  const hint = (key: string): string | undefined => {
    try {
      findImage(lock, key)
    } catch (error) {
      assert.ok(error instanceof UsageError)
      return error.hint
    }
    return undefined
  }
  assert.match(hint('raspios-trixie-arm64-lite@2026-06-19') ?? '', /raspios-trixie-arm64-lite@2026-06-18/)
  assert.match(hint('raspios-bookworm-armhf-lite') ?? '', /raspios-bookworm-armhf-lite@2025-05-13/)
  assert.match(hint('windows@11') ?? '', /piimage images list/)
  assert.match(hint('__proto__') ?? '', /piimage images list/)
})

test('addToLock keeps an entry, and its day, while it says the same', async () => {
  const lock = await readLock(shipped)
  const [old] = [...lock.images.values()].filter((image) => image.extracted !== null)
  assert.ok(old)
  const later = (part: LockedImage['download']) => ({
    ...part,
    source: { ...part.source, checked: '2030-01-01' },
  })
  const same = { ...old, download: later(old.download), extracted: old.extracted && later(old.extracted) }
  assert.ok(sameImage(old, same))
  assert.deepEqual(addToLock(lock, same), { lock, change: 'same' })
  const other = { ...old, download: { ...old.download, size: 1 } }
  const changed = addToLock(lock, other)
  assert.equal(changed.change, 'changed')
  assert.equal(findImage(changed.lock, old.key).download.size, 1)
  assert.equal(findImage(lock, old.key).download.size, old.download.size, 'the lock given is left alone')
  assert.equal(addToLock(lock, { ...old, key: 'new@1' }).change, 'added')
})
