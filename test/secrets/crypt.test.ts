import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sha512crypt } from '../../src/secrets/sha512crypt.ts'
import { deriveWpaPsk } from '../../src/secrets/wpa-psk.ts'
import { needTool, run } from '../support/tools.ts'

test('sha512crypt: the vector of the format’s author', () => {
  assert.equal(
    sha512crypt('Hello world!', 'saltstring'),
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
  )
})

test('sha512crypt: openssl agrees, whatever the length', (t) => {
  const openssl = needTool(t, 'openssl', 'openssl')
  if (openssl === undefined) return
  const salt = fc.string({
    unit: fc.constantFrom(...'./09AZaz5Qx'),
    minLength: 1,
    maxLength: 16,
  })
  const judge = (password: string, saltText: string): void => {
    const { stdout } = run(openssl, ['passwd', '-6', '-salt', saltText, '-stdin'], { input: `${password}\n` })
    assert.equal(sha512crypt(password, saltText), stdout.trim(), `${password.length} bytes, salt ${saltText}`)
  }
  // Around the digest's 64 bytes, where stretching changes shape.
  for (const length of [1, 7, 31, 63, 64, 65, 127, 128, 129, 200]) judge('x'.repeat(length), 'saltstring')
  judge('pässwörd ✓', 'saltstring')
  judge(`-$(id)'"%\\`, '.')
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 80 }),
      salt,
      (password, saltText) => judge(password, saltText),
    ),
    { numRuns: 25 },
  )
})

test('sha512crypt: a bad salt is a bug', () => {
  for (const salt of ['', 'a$b', 'ab cd', 'x'.repeat(17)])
    assert.throws(() => sha512crypt('secret', salt), /salt/)
})

test('deriveWpaPsk: vectors of IEEE 802.11 annex J', () => {
  const vectors: [passphrase: string, ssid: string, psk: string][] = [
    ['password', 'IEEE', 'f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e'],
    ['ThisIsAPassword', 'ThisIsASSID', '0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af'],
    [
      'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      'ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ',
      'becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62',
    ],
  ]
  for (const [passphrase, ssid, psk] of vectors) assert.equal(deriveWpaPsk(passphrase, ssid), psk)
})

test('deriveWpaPsk: the name’s UTF-8 octets are the salt', (t) => {
  const openssl = needTool(t, 'openssl', 'openssl')
  if (openssl === undefined) return
  const ssid = 'Büro ☕'
  const { stdout, status } = run(openssl, [
    'kdf',
    '-keylen',
    '32',
    '-kdfopt',
    'digest:SHA1',
    '-kdfopt',
    'pass:geheimes Wort',
    '-kdfopt',
    `hexsalt:${Buffer.from(ssid).toString('hex')}`,
    '-kdfopt',
    'iter:4096',
    'PBKDF2',
  ])
  assert.equal(status, 0)
  assert.equal(deriveWpaPsk('geheimes Wort', ssid), stdout.trim().replaceAll(':', '').toLowerCase())
})
