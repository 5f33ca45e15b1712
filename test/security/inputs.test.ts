/** A pipe, a device or a file without end in the place of a file that piimage reads: a sentence, never a wait. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { openInput, readInput } from '../../src/io/input-file.ts'
import { openJournal } from '../../src/work/batch-journal.ts'
import { held } from '../support/attack.ts'
import { demoProject, type Project } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'

const TiB = 2 ** 40

const kinds: Record<string, (path: string) => void> = {
  'a pipe': (path) => assert.equal(run('mkfifo', [path]).status, 0),
  'a link to a device without end': (path) => symlinkSync('/dev/zero', path),
  'a terabyte of nothing': (path) => {
    writeFileSync(path, '', { mode: 0o600 })
    truncateSync(path, TiB)
  },
}

interface Place {
  file: string
  args: string[]
  /** A line of the cluster file that names it. */
  line?: string
}

const plan = ['plan', '--node', 'oneil']
const flash = ['flash', '--yes', '--node', 'oneil', 'card.img']
const places: Record<string, Place> = {
  'the cluster file': { file: 'cluster.yaml', args: plan },
  'the lock': { file: 'images.lock.json', args: plan },
  'the key': { file: 'cluster.key', args: flash },
  'an overlay': { file: 'overlays/fan/overlay.yaml', args: plan },
  'a password': { file: 'secret', args: plan, line: 'user: { name: ops, passwordFile: secret }' },
  'a public key': { file: 'me.pub', args: plan, line: 'user: { name: ops, sshKeys: [me.pub] }' },
  'pinned keys': {
    file: 'ssh-keys/github-octocat.keys',
    args: plan,
    line: 'user: { name: ops, sshKeys: [github:octocat] }',
  },
  'a pass phrase': {
    file: 'secret',
    args: plan,
    line: 'wifi: { ssid: a, country: NL, passphraseFile: secret }',
  },
  'user-data': { file: 'user-data', args: [...plan, '--userdata', 'user-data'] },
  'a file for the card': { file: 'x.bin', args: [...plan, '--file', 'x.bin:x.bin'] },
  'the file that is locked': { file: 'new.img', args: ['images', 'lock', 'new.img'] },
  'the list of what was baked': {
    file: 'os_list.json',
    args: ['bake', '--node', 'oneil', '--format', 'img', '--yes'],
  },
  'what is exported already': { file: 'ansible', args: ['export', 'ansible', '-o', 'ansible'] },
}

const useLine = (project: Project, line: string): void => {
  const text = readFileSync(project.file('cluster.yaml'), 'utf8')
  const key = line.slice(0, line.indexOf(':'))
  const without = text.replace(new RegExp(`^${key}:\\n(?: .*\\n)+`, 'm'), '')
  writeFileSync(project.file('cluster.yaml'), `${line}\n${without}`)
}

for (const [place, { file, args, line }] of Object.entries(places))
  test(`${place}: what is no plain file, or has no end, is refused in a sentence`, async (t) => {
    // An image may be large; it is hashed for as long as somebody waits for it.
    const tried = Object.entries(kinds).slice(0, file === 'new.img' ? 2 : 3)
    for (const [what, make] of tried) {
      const project = demoProject(t)
      const path = project.file(file)
      mkdirSync(dirname(path), { recursive: true })
      if (line !== undefined) useLine(project, line)
      rmSync(path, { force: true })
      make(path)
      const said = await project.piimage(...args)
      assert.equal(said.status, 2, `${what}: ${said.stdout}${said.stderr}`)
      assert.match(
        said.stderr,
        /a plain file|a device|more than .* which is the most|most that is read|far too big|takes .* at most|leads out|no file/,
        what,
      )
      assert.doesNotMatch(said.stderr, /bug in piimage|^\s+at /m)
      assert.ok(!existsSync(project.file('card.img')))
    }
    held(t, tried.length)
  })

test('an image that the lock has here, and one that is named, are plain files', async (t) => {
  for (const make of [kinds['a pipe'], kinds['a link to a device without end']]) {
    const project = demoProject(t)
    rmSync(project.file('demo.img.xz'))
    make?.(project.file('demo.img.xz'))
    const said = await project.piimage(...plan)
    assert.equal(said.status, 3, said.stderr)
    assert.match(said.stderr, /not a plain file/)
    const named = await project.piimage(...flash.slice(0, 2), '--image', 'demo.img.xz', 'card.img')
    assert.equal(named.status, 2, named.stderr)
  }
  held(t, 4)
})

test('the journal of a batch is a plain file of bounded length', async (t) => {
  for (const make of Object.values(kinds)) {
    const path = join(tempFolder(t), '.piimage-batch.json')
    make(path)
    await assert.rejects(openJournal(path, 'demo'), /not a plain file|most that is read/)
  }
  held(t, 3)
})

test('completion waits for no pipe in the place of the cluster file', async (t) => {
  const project = demoProject(t)
  rmSync(project.file('cluster.yaml'))
  kinds['a pipe']?.(project.file('cluster.yaml'))
  const said = await project.piimage('completion', 'bash', '--', 'plan', '--node', '')
  assert.equal(said.status, 0, said.stderr)
  held(t, 1)
})

test('files of the kernel’s that never end or never come are read to the limit, or not at all', async (t) => {
  const folder = tempFolder(t)
  const fifo = join(folder, 'fifo')
  kinds['a pipe']?.(fifo)
  await assert.rejects(openInput(fifo), /is a pipe, not a plain file/)
  assert.throws(() => readInput('/dev/null'), /is a device/)
  assert.throws(() => readInput(folder), { code: 'EISDIR' })
  assert.ok(readInput('/proc/self/status').bytes.length > 100, 'a file that says it is empty is read')
  assert.throws(() => readInput('/proc/self/status', 100), { code: 'EFBIG' })
  held(t, 3)
})
