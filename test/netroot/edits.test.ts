/** Edits onto trees that somebody else made: nothing is ever written outside of them. */
import assert from 'node:assert/strict'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { NetrootError } from '../../src/errors.ts'
import { applyRootEdits } from '../../src/netroot/apply-root-edits.ts'
import { scanTftpTree } from '../../src/netroot/scan-tftp.ts'
import { file, folder, link, type RootEdit, remove } from '../../src/systems/root/root-edit.ts'
import { tempFolder } from '../support/temp.ts'

const when = new Date('2025-01-01T00:00:00Z')

test('a link in the middle of a path is an error, one at its end is replaced', (t) => {
  const place = tempFolder(t)
  const [root, outside] = [join(place, 'root'), join(place, 'outside')]
  mkdirSync(join(root, 'var'), { recursive: true })
  mkdirSync(outside)
  writeFileSync(join(outside, 'hosts'), 'theirs\n')
  symlinkSync(outside, join(root, 'etc'))
  symlinkSync(join(outside, 'hosts'), join(root, 'var/hosts'))
  const escapes: RootEdit[] = [
    file('/etc/hostname', 'x'),
    file('/etc/deep/er', 'x'),
    link('/etc/localtime', '/usr'),
    folder('/etc/new'),
    remove('/etc/hosts'),
  ]
  for (const edit of escapes)
    assert.throws(
      () => applyRootEdits(root, [edit], when),
      (error) => error instanceof NetrootError && /\/etc is not a folder in this image/.test(error.message),
      `${edit.kind} ${edit.path}`,
    )
  applyRootEdits(root, [file('/var/hosts', 'ours\n')], when)
  assert.equal(readFileSync(join(root, 'var/hosts'), 'utf8'), 'ours\n')
  assert.equal(readFileSync(join(outside, 'hosts'), 'utf8'), 'theirs\n')
  assert.ok(!existsSync(join(outside, 'hostname')))
})

test('the same edits give the same tree, whatever the umask and the time', (t) => {
  const root = tempFolder(t)
  const umask = process.umask(0o077)
  t.after(() => process.umask(umask))
  const edits = [
    file('/etc/a', 'a\n', 0o600),
    file('/etc/sub/b', 'b\n'),
    link('/etc/c', '/dev/null'),
    folder('/opt/x', 0o700),
    remove('/not/there'),
  ]
  for (const _ of [1, 2]) {
    applyRootEdits(root, edits, when)
    assert.equal(lstatSync(join(root, 'etc/a')).mode & 0o7777, 0o600)
    assert.equal(lstatSync(join(root, 'etc/sub')).mode & 0o7777, 0o755)
    assert.equal(lstatSync(join(root, 'etc/sub/b')).mode & 0o7777, 0o644)
    assert.equal(lstatSync(join(root, 'opt/x')).mode & 0o7777, 0o700)
    assert.equal(readlinkSync(join(root, 'etc/c')), '/dev/null')
    for (const path of ['etc', 'etc/a', 'etc/sub', 'etc/sub/b', 'etc/c', 'opt', 'opt/x'])
      assert.equal(lstatSync(join(root, path)).mtimeMs, when.getTime(), path)
  }
  applyRootEdits(root, [remove('/etc/a')], when)
  assert.ok(!existsSync(join(root, 'etc/a')))
})

const secrets: { what: string; text: string }[] = [
  { what: "a swarm's join token", text: `SWMTKN-1-${'0a'.repeat(25)}-${'1b'.repeat(12)}\n` },
  { what: 'a k3s token', text: `token=K10${'ab'.repeat(32)}::server:${'cd'.repeat(16)}` },
  { what: 'a kubeadm token', text: 'discovery:\n  token: abcdef.0123456789abcdef\n' },
  { what: 'a private key', text: '-----BEGIN OPENSSH PRIVATE KEY-----\n' },
  { what: "a password's hash", text: `ops:$6$salt$${'x'.repeat(86)}\n` },
  { what: "a password's hash", text: `ops:$y$j9T$${'x'.repeat(40)}\n` },
  { what: 'a Wi-Fi key', text: 'network={\n  psk=0123\n}\n' },
  { what: 'a password', text: 'user:\n  passwd: x\n' },
  { what: 'a secret of this node', text: 'note=correct horse battery staple\n' },
]
for (const { what, text } of secrets)
  test(`a boot tree with ${what} is refused: ${JSON.stringify(text.slice(0, 12))}`, (t) => {
    const tree = tempFolder(t)
    mkdirSync(join(tree, 'deep'))
    writeFileSync(join(tree, 'deep/file'), text)
    const known = ['correct horse battery staple']
    assert.throws(() => scanTftpTree(tree, known, new Set()), new RegExp(`would hold ${what}, in deep/file`))
  })

test('what boot trees really hold is no secret', (t) => {
  const tree = tempFolder(t)
  writeFileSync(
    join(tree, 'cmdline.txt'),
    'root=/dev/nfs nfsroot=10.0.0.1:/srv/x,vers=3 ip=10.0.0.2::::n1:eth0:off\n',
  )
  writeFileSync(join(tree, 'config.txt'), '# a password is set elsewhere\ndtparam=sd_poll_once=on\n')
  writeFileSync(join(tree, 'README'), 'psk keys and tokens: see the documentation; PASSWORD in capitals\n')
  writeFileSync(
    join(tree, 'kernel8.img'),
    Buffer.concat([Buffer.alloc(64), Buffer.from('-----BEGIN PRIVATE KEY-----')]),
  )
  scanTftpTree(tree, ['another secret entirely'], new Set())
})
