import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseAuthorizedKeys, parsePublicKey } from '../../src/secrets/authorized-keys.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { formatKnownHost } from '../../src/secrets/known-hosts.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

// RFC 8032 §7.1, test 1.
const rfcSeed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
const rfcPublic = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'

test('ed25519: the public key of RFC 8032', () => {
  const key = parsePublicKey(makeEd25519Key(rfcSeed, 'x').publicLine)
  assert.ok(key.ok)
  assert.equal(key.blob.subarray(-32).toString('hex'), rfcPublic)
})

test('ed25519: ssh-keygen reads the private key, for every padding', (t) => {
  const keygen = needTool(t, 'ssh-keygen', 'openssh-client')
  if (keygen === undefined) return
  const folder = tempFolder(t)
  for (let length = 0; length <= 9; length += 1) {
    const comment = 'root@oneil'.slice(0, length)
    const seed = Buffer.alloc(32, length + 1)
    const pair = makeEd25519Key(seed, comment)
    const path = join(folder, `key-${length}`)
    writeFileSync(path, pair.privateKey.reveal(), { mode: 0o600 })
    const shown = run(keygen, ['-y', '-f', path])
    assert.equal(shown.stderr, '')
    assert.equal(shown.stdout.trim(), pair.publicLine)
    const listed = run(keygen, ['-l', '-f', path])
    assert.match(listed.stdout, new RegExp(`^256 ${pair.fingerprint.replaceAll('+', '\\+')} .*\\(ED25519\\)`))
    assert.equal(
      makeEd25519Key(seed, comment).privateKey.reveal(),
      pair.privateKey.reveal(),
      'same seed, same file',
    )
  }
})

test('ed25519: what the private key signs, the public key verifies', (t) => {
  const keygen = needTool(t, 'ssh-keygen', 'openssh-client')
  if (keygen === undefined) return
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'k'))
  const pair = makeEd25519Key(rfcSeed, 'oneil')
  writeFileSync(join(folder, 'key'), pair.privateKey.reveal(), { mode: 0o600 })
  writeFileSync(join(folder, 'allowed'), `oneil ${pair.publicLine}\n`)
  const signed = run(keygen, ['-Y', 'sign', '-f', join(folder, 'key'), '-n', 'test'], { input: 'hello' })
  assert.equal(signed.status, 0, signed.stderr)
  writeFileSync(join(folder, 'signature'), signed.stdout)
  const verify = (text: string) =>
    run(
      keygen,
      [
        '-Y',
        'verify',
        '-f',
        join(folder, 'allowed'),
        '-I',
        'oneil',
        '-n',
        'test',
        '-s',
        join(folder, 'signature'),
      ],
      { input: text },
    ).status
  assert.equal(verify('hello'), 0)
  assert.notEqual(verify('hullo'), 0)
})

test('authorized keys: every type ssh-keygen makes is accepted', (t) => {
  const keygen = needTool(t, 'ssh-keygen', 'openssh-client')
  if (keygen === undefined) return
  const folder = tempFolder(t)
  for (const args of [['ed25519'], ['rsa', '-b', '2048'], ['ecdsa', '-b', '256'], ['ecdsa', '-b', '521']]) {
    const path = join(folder, args.join(''))
    run(keygen, ['-q', '-t', ...args, '-N', '', '-C', 'me@laptop', '-f', path])
    const line = run(keygen, ['-y', '-f', path]).stdout.trim()
    const key = parsePublicKey(`  ${line.replace(' ', '\t ')}  `)
    assert.ok(key.ok)
    assert.equal(key.line, line)
  }
})

const good = makeEd25519Key(rfcSeed, '').publicLine
const [, base64 = ''] = good.split(' ')
const wrong: { name: string; line: string; problem: RegExp }[] = [
  { name: 'private key', line: '-----BEGIN OPENSSH PRIVATE KEY-----', problem: /private key/ },
  { name: 'no key at all', line: 'hello world', problem: /not a public SSH key/ },
  { name: 'an object’s own word', line: `constructor ${base64}`, problem: /not a public SSH key/ },
  { name: 'an option of nobody', line: `restrict,fnord ${good}`, problem: /option fnord/ },
  { name: 'DSA', line: 'ssh-dss AAAA', problem: /DSA/ },
  { name: 'type alone', line: 'ssh-ed25519', problem: /broken or cut short/ },
  { name: 'cut base64', line: `ssh-ed25519 ${base64.slice(0, -3)}`, problem: /broken or cut short/ },
  { name: 'cut to whole groups', line: `ssh-ed25519 ${base64.slice(0, -4)}`, problem: /cut short/ },
  {
    name: 'another type inside',
    line: `ssh-rsa ${base64}`,
    problem: /says ssh-rsa, but the key inside is ssh-ed25519/,
  },
  { name: 'control character', line: `${good} me\u0007`, problem: /control character/ },
  {
    name: 'something after the key',
    line: `ssh-ed25519 ${Buffer.concat([Buffer.from(base64, 'base64'), Buffer.alloc(4)]).toString('base64')}`,
    problem: /wrong shape/,
  },
]
for (const { name, line, problem } of wrong)
  test(`public key refused: ${name}`, () => {
    const key = parsePublicKey(line)
    assert.ok(!key.ok)
    assert.match(key.problem, problem)
  })

test('authorized keys: BOM, CRLF, comments and blank lines', () => {
  const keys = parseAuthorizedKeys(`\ufeff# mine\r\n${good} a b\r\n\r\n${good} c\r\n`)
  assert.deepEqual(
    keys.map(({ line, key }) => [line, key.ok && key.line]),
    [
      [2, `${good} a b`],
      [4, `${good} c`],
    ],
  )
})

test('known hosts: ssh-keygen finds the host by each of its names', (t) => {
  const keygen = needTool(t, 'ssh-keygen', 'openssh-client')
  if (keygen === undefined) return
  const file = join(tempFolder(t), 'known_hosts')
  const lines = [
    formatKnownHost({ names: ['oneil', 'oneil.sgc.lan', '172.19.181.1'], publicLine: `${good} root@oneil` }),
    formatKnownHost({ names: ['gate', '10.0.0.9'], port: 2222, publicLine: good }),
  ]
  assert.equal(lines[0], `oneil,oneil.sgc.lan,172.19.181.1 ${good}`)
  assert.equal(lines[1], `[gate]:2222,[10.0.0.9]:2222 ${good}`)
  writeFileSync(file, `${lines.join('\n')}\n`)
  for (const name of ['oneil', 'oneil.sgc.lan', '172.19.181.1', '[gate]:2222', '[10.0.0.9]:2222'])
    assert.equal(run(keygen, ['-F', name, '-f', file]).status, 0, name)
  assert.notEqual(run(keygen, ['-F', 'gate', '-f', file]).status, 0)
})

test('known hosts: a name that would break the line is a bug', () => {
  for (const names of [[], ['a b'], ['a\nb'], ['*'], ['a,b']])
    assert.throws(() => formatKnownHost({ names, publicLine: good }), /name/)
})
