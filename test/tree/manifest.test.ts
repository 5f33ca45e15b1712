/** Manifests as text, as names, and as a judge of folders. */
import assert from 'node:assert/strict'
import { chmodSync, linkSync, mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { FormatError } from '../../src/errors.ts'
import { fileCapabilities } from '../../src/tree/capabilities.ts'
import { compareTree } from '../../src/tree/compare-tree.ts'
import { bytesFromText, sortEntries, type TreeEntry, textFromBytes } from '../../src/tree/manifest.ts'
import { formatManifest, parseManifest } from '../../src/tree/manifest-text.ts'
import { readFolder } from '../../src/tree/read-folder.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

test('any bytes are a name, and no two the same', () => {
  const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array))
  fc.assert(fc.property(bytes, (name) => assert.deepEqual(bytesFromText(textFromBytes(name)), name)))
  const text = fc.string({ unit: 'grapheme' })
  fc.assert(fc.property(text, (name) => assert.equal(textFromBytes(Buffer.from(name)), name)))
  assert.equal(
    textFromBytes(Buffer.from([0x61, 0xff, 0xc3, 0xa4, 0xed, 0xb2, 0x80])),
    'a\udcffä\udced\udcb2\udc80',
  )
})

const plain: Omit<TreeEntry, 'path' | 'type'> = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
  size: 0,
}

test('a manifest, line by line', () => {
  const sha256 = 'e3'.repeat(32)
  const entries: TreeEntry[] = [
    { ...plain, path: '', type: 'directory' },
    { ...plain, path: 'a b', type: 'file', mode: 0o4755, size: 3, sha256, hardLink: 1 },
    {
      ...plain,
      path: 'c:%\n\udcff',
      type: 'symlink',
      target: '../ä',
      mtime: { seconds: -2, nanoseconds: 5e8 },
    },
    { ...plain, path: 'd', type: 'character-device', rdev: { major: 5, minor: 70000 }, uid: 70000, gid: 1 },
    { ...plain, path: 'e', type: 'fifo', xattrs: { 'user.empty': '', 'user.x y': '00ff' } },
  ]
  const text = formatManifest({ entries })
  assert.equal(
    text,
    `piimage-tree 1
d 0755 0:0 1700000000 .
f 4755 0:0 1700000000 a%20b 3 ${sha256} =1
l 0755 0:0 -1.5 c%3a%25%0a%ff ../ä
c 0755 70000:1 1700000000 d 5:70000
p 0755 0:0 1700000000 e user.empty: user.x%20y:00ff
`,
  )
  assert.deepEqual(parseManifest(text, 'here'), { entries })
})

const broken = ['', 'piimage-tree 2\n', 'piimage-tree 1\nd 0755 0:0 1 .', 'piimage-tree 1\n\n']
const brokenLines = [
  'x 0755 0:0 1 a',
  'd 755 0:0 1 a',
  'd 0755 0 1 a',
  'd 0755 0:0 now a',
  'd 0755 0:0 1 a b',
  'f 0755 0:0 1 a 3',
  'f 0755 0:0 1 a 3 e3',
  'l 0755 0:0 1 a',
  'c 0755 0:0 1 a 5',
  'p 0755 0:0 1 a user.x:0',
]

test('what is no manifest is refused, with its place', () => {
  for (const text of [...broken, ...brokenLines.map((line) => `piimage-tree 1\n${line}\n`)])
    assert.throws(() => parseManifest(text, 'here'), FormatError, text)
  assert.throws(() => parseManifest(`piimage-tree 1\nd 0755 0:0 1 .\nd`, 'm'), /complete tree manifest/)
  assert.throws(
    () => parseManifest(`piimage-tree 1\nd 0755 0:0 1 .\nd\n`, 'm'),
    /m, line 3: "d" is not an entry/,
  )
})

test('any tree survives being written down', () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 6 }).map((array) => textFromBytes(Buffer.from(array)))
  const fields = {
    path: name.filter((path) => path !== '.'),
    type: fc.constantFrom('directory' as const, 'fifo' as const, 'socket' as const),
    mode: fc.nat(0o7777),
    uid: fc.nat(),
    gid: fc.nat(),
    mtime: fc.record({ seconds: fc.integer(), nanoseconds: fc.nat(999_999_999) }, { noNullPrototype: true }),
    size: fc.constant(0),
  }
  const entry = fc.record(fields, { noNullPrototype: true })
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      assert.deepEqual(parseManifest(formatManifest({ entries }), 'here').entries, entries)
    }),
  )
})

test('the contents of a folder follow it at once', () => {
  const paths = ['a', 'a.b', 'a/c', 'a/c/d', 'a-b', 'B', '', 'ä', 'a\udcff']
  const sorted = sortEntries(paths.map((path) => ({ ...plain, path, type: 'directory' })))
  assert.deepEqual(
    sorted.map(({ path }) => path),
    ['', 'B', 'a', 'a/c', 'a/c/d', 'a-b', 'a.b', 'a\udcff', 'ä'],
  )
})

test('whatever changes in a folder is named', async (t) => {
  if (!needRoot(t) || needTool(t, 'setfattr', 'attr') === undefined) return
  const folder = tempFolder(t)
  const at = (name: string) => join(folder, name)
  for (const name of ['bytes', 'mode', 'owner', 'time', 'gone', 'kind', 'xattr', 'one', 'two', 'same'])
    writeFileSync(at(name), name)
  linkSync(at('one'), at('one-too'))
  mkdirSync(at('folder'))
  symlinkSync('here', at('link'))
  run('mknod', [at('device'), 'c', '1', '3'])
  run('bash', ['-c', 'find "$0" -exec touch -h -d @1700000000 {} +', folder])
  const task = recordTask()
  const before = await readFolder(folder, task)
  assert.deepEqual(await compareTree(before, folder, task), [])

  writeFileSync(at('bytes'), 'sebyt')
  chmodSync(at('mode'), 0o4711)
  run('chown', ['1:70000', at('owner')])
  unlinkSync(at('gone'))
  unlinkSync(at('kind'))
  mkdirSync(at('kind'))
  run('setfattr', ['-n', 'user.new', '-v', 'x', at('xattr')])
  unlinkSync(at('one-too'))
  linkSync(at('two'), at('one-too'))
  unlinkSync(at('link'))
  symlinkSync('there', at('link'))
  rmSync(at('device'))
  run('mknod', [at('device'), 'c', '1', '5'])
  writeFileSync(at('folder/extra'), '')
  run('bash', ['-c', 'find "$0" -exec touch -h -d @1700000000 {} +', folder])
  run('touch', ['-d', '@1700000000.000000001', at('time')])
  const told = (await compareTree(before, folder, task)).map(({ path, kind, changes }) =>
    [path, kind, ...changes].join('; ').replaceAll(/[0-9a-f]{64}/g, 'DIGEST'),
  )
  assert.deepEqual(told, [
    'bytes; changed; sha256 DIGEST → DIGEST',
    'device; changed; device 1:3 → 1:5',
    'gone; missing',
    'kind; changed; file → directory',
    'link; changed; target here → there',
    'mode; changed; mode 0644 → 4711',
    'one; changed; hard link of one → none',
    'one-too; changed; sha256 DIGEST → DIGEST; hard link of one → one-too',
    'owner; changed; owner 0:0 → 1:70000',
    'time; changed; time 1700000000 → 1700000000.000000001',
    'two; changed; hard link of none → one-too',
    'xattr; changed; user.new none → 78',
    'folder/extra; extra',
  ])
})

test('file capabilities are named as getcap names them', async (t) => {
  if (!needRoot(t) || needTool(t, 'setcap', 'libcap2-bin') === undefined) return
  const folder = tempFolder(t)
  const wanted = ['cap_net_raw=ep', 'cap_chown,cap_net_admin=p', 'cap_bpf=eip', 'cap_kill=i cap_setuid+p']
  for (const [i, capabilities] of wanted.entries()) {
    writeFileSync(join(folder, `${i}`), '')
    assert.equal(run('setcap', [capabilities, join(folder, `${i}`)]).status, 0)
  }
  const found = fileCapabilities(await readFolder(folder, recordTask()))
  // Its second set has a plus, to the same effect.
  const getcap = run('getcap', ['-r', folder]).stdout.replaceAll('+', '=').trim().split('\n')
  assert.deepEqual(
    found.map(({ path, capabilities }) => `${join(folder, path)} ${capabilities}`).sort(),
    getcap.sort(),
  )
  const bad = { ...plain, path: 'x', type: 'file' as const, xattrs: { 'security.capability': '0102' } }
  assert.throws(() => fileCapabilities({ entries: [bad] }), /x: its file capabilities \(0x0102\)/)
})
