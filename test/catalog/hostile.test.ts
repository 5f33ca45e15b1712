/** Whatever a server or a file says: an answer or an error for people, never a crash. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLock, parseLock } from '../../src/catalog/lock.ts'
import { parseImageName, parseKey } from '../../src/catalog/names.ts'
import { findOsListEntry } from '../../src/catalog/os-list.ts'
import type { PublisherHttp } from '../../src/catalog/publisher.ts'
import { parseSidecar } from '../../src/catalog/sidecar.ts'
import { PiimageError } from '../../src/errors.ts'
import { sha256 } from '../fetch/support.ts'

const lists = (answers: (url: string) => Uint8Array | undefined): PublisherHttp => ({
  head: () => Promise.reject(new Error('not asked')),
  read: async (url) => answers(url),
  file: () => Promise.reject(new Error('not asked')),
})

async function onlyOurErrors(action: () => unknown): Promise<void> {
  try {
    await action()
  } catch (error) {
    assert.ok(error instanceof PiimageError, String((error as Error).stack))
  }
}

const entry = fc.record(
  {
    url: fc.constantFrom('https://x/a', 'https://x/b', 7),
    subitems_url: fc.constantFrom('https://x/l', 'https://y/l', 'file:///etc/passwd', null),
    subitems: fc.array(fc.object(), { maxLength: 2 }),
    extract_size: fc.oneof(fc.integer(), fc.string()),
    extract_sha256: fc.oneof(fc.constant(sha256('')), fc.string()),
    image_download_size: fc.oneof(fc.integer({ min: 1 }), fc.double()),
  },
  { requiredKeys: [] },
)

test('any catalogue', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.json(),
        fc.record({ os_list: fc.array(entry) }).map((v) => JSON.stringify(v)),
      ),
      (text) =>
        onlyOurErrors(() =>
          findOsListEntry(
            lists(() => Buffer.from(text)),
            'https://x/l',
            'https://x/a',
          ),
        ),
    ),
    { seed: 1, numRuns: 300 },
  )
})

test('a catalogue that leads to itself, or on and on, ends; other origins are not asked', async () => {
  const asked: string[] = []
  const endless = lists((url) => {
    asked.push(url)
    const next = [`${url}x`, url, 'https://elsewhere/l'].map((subitems_url) => ({ subitems_url }))
    return Buffer.from(JSON.stringify({ os_list: next }))
  })
  assert.equal(await findOsListEntry(endless, 'https://x/l', 'https://x/a'), undefined)
  assert.ok(asked.length <= 30)
  assert.ok(asked.every((url) => url.startsWith('https://x/')))
})

test('two entries of a catalogue that disagree about one image', async () => {
  const item = { url: 'https://x/a', extract_size: 5, extract_sha256: sha256('a'), image_download_size: 3 }
  const text = JSON.stringify({ os_list: [item, { ...item, extract_size: 6 }] })
  await assert.rejects(
    findOsListEntry(
      lists(() => Buffer.from(text)),
      'https://x/l',
      'https://x/a',
    ),
    /extractSize of https:\/\/x\/a: entry 1 of https:\/\/x\/l says 5; entry 2 of https:\/\/x\/l says 6/,
  )
})

test('any sidecar', async () => {
  const line = fc.tuple(
    fc.constantFrom(sha256(''), sha256('a'), 'x'),
    fc.constantFrom('  ', ' *', ' '),
    fc.constantFrom('n', 'm', '../n'),
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(line).map((all) => all.map((parts) => parts.join('')).join('\n')),
  )
  await fc.assert(
    fc.asyncProperty(text, (sidecar) => onlyOurErrors(() => parseSidecar(Buffer.from(sidecar), 'n', 'by'))),
    { seed: 1, numRuns: 500 },
  )
})

const sidecars: { name: string; text: string; digest?: string }[] = [
  { name: 'text mode', text: `${sha256('')}  n\n`, digest: sha256('') },
  { name: 'binary mode', text: `${sha256('')} *n\n`, digest: sha256('') },
  {
    name: 'upper case, CRLF, no final newline',
    text: `${sha256('').toUpperCase()}  n\r\n${sha256('a')}  m`,
    digest: sha256(''),
  },
  { name: 'a path before the name', text: `${sha256('')}  build/n\n` },
  { name: 'the digest alone', text: `${sha256('')}\n` },
  { name: 'sha1', text: `${sha256('').slice(0, 40)}  n\n` },
  { name: 'empty', text: '' },
]
for (const { name, text, digest } of sidecars) {
  test(`sidecar: ${name}`, () => {
    const parse = () => parseSidecar(Buffer.from(text), 'n', 'n.sha256')
    if (digest === undefined) assert.throws(parse, { name: 'FetchError', message: /^n\.sha256 / })
    else assert.equal(parse(), digest)
  })
}

test('any lock text, and any JSON in it', async () => {
  const images = fc.dictionary(fc.constantFrom('a@1', 'b-arm64-c@2', '__proto__', '../x@1'), fc.object())
  const lock = fc
    .record({ lockfileVersion: fc.constantFrom(1, 1, 1, '1', 2, null), images })
    .map((v) => JSON.stringify(v))
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.json(), lock), (text) =>
      onlyOurErrors(async () => formatLock(await parseLock(text, 'l'))),
    ),
    { seed: 1, numRuns: 200 },
  )
})

test('any name and any key', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      parseImageName(text)
      parseImageName(`https://x/${text}.img.xz`)
      parseKey(text)
    }),
    { seed: 1, numRuns: 500 },
  )
})
