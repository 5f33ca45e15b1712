/** Roots in which a node has done its worst: whatever the head does with them ends, stays inside, and says so. */
import assert from 'node:assert/strict'
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { listForeign, readForeignFile, statForeign } from '../../src/netroot/foreign-tree.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { disklessProject, STATE } from './diskless.ts'

const { signal } = new AbortController()
const TiB = 1024 ** 4

function hole(path: string, bytes: number): void {
  rmSync(path, { force: true })
  const file = openSync(path, 'w')
  ftruncateSync(file, bytes)
  closeSync(file)
}

/** What a node can do to its root, over NFS or by itself. */
function spoil(root: string, outside: string): void {
  const at = (path: string) => join(root, path)
  hole(at('etc/hostname'), 3 * 1024 ** 3)
  hole(at('usr/big'), 8 * TiB)
  rmSync(at('etc/hosts'))
  assert.equal(run('mkfifo', [at('etc/hosts'), at('etc/wait')]).status, 0)
  assert.equal(run('mknod', [at('etc/disk'), 'b', '7', '0']).status, 0)
  assert.equal(run('mknod', [at('etc/zero'), 'c', '1', '5']).status, 0)
  rmSync(at('etc/machine-id'))
  symlinkSync(join(outside, 'secret'), at('etc/machine-id'))
  symlinkSync('loop', at('etc/loop'))
  symlinkSync(outside, at('usr/out'))
  writeFileSync(at('etc/x\u001b]0;owned\u0007\u001b[2K\rcarter: its root is its generation\u2019s'), '')
  writeFileSync(Buffer.concat([Buffer.from(at('etc/')), Buffer.from([0xff, 0xfe])]), '')
  rmSync(at('var/lib'), { recursive: true, force: true })
  mkdirSync(at('var'), { recursive: true })
  // Where the time of its last start is looked up.
  symlinkSync(outside, at('var/lib'))
  let deep = root
  for (let depth = 0; depth < 150; depth += 1) deep = join(deep, 'd')
  mkdirSync(deep, { recursive: true })
  mkdirSync(at('many'))
  for (let count = 0; count < 3000; count += 1) writeFileSync(at(`many/${count}`), '')
}

for (const mode of ['copy', 'overlay'] as const)
  test(`${mode}: holes, pipes, devices, links, names and many files of a node harm nobody`, async (t) => {
    if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
    const project = disklessProject(t)
    const outside = project.file('outside')
    mkdirSync(join(outside, 'piimage'), { recursive: true })
    writeFileSync(join(outside, 'secret'), 'a secret of the head\n')
    writeFileSync(join(outside, 'piimage/booted'), '')
    utimesSync(join(outside, 'piimage/booted'), 4_000_000_000, 4_000_000_000)
    assert.equal((await project.netroot('--root-mode', mode)).status, 0)
    const unmount = project.mount()
    const node = project.served().nodes.find(({ name }) => name === 'carter') ?? assert.fail()
    spoil(project.server(node.rootFolder), outside)
    for (const isMounted of [true, false]) {
      const diff = await project.netroot('diff', 'carter')
      assert.equal(diff.status, 0, diff.stderr)
      const lines = diff.stdout.split('\n')
      for (const line of [
        '~ /etc/hostname',
        '~ /etc/hosts',
        '+ /etc/machine-id',
        '+ /usr/big',
        '+ /usr/out',
        '+ /etc/wait',
      ])
        assert.ok(lines.includes(`carter ${line}`), `${line}, mounted: ${isMounted}`)
      assert.equal(lines.filter((line) => line.startsWith('carter + /many/')).length, 3000)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      assert.doesNotMatch(diff.stdout, /[\u0000-\u0009\u000b-\u001f\u007f]/)
      assert.doesNotMatch(diff.stdout + diff.stderr, /a secret of the head|\/usr\/out\//)
      const verified = await project.netroot('verify', '--offline')
      assert.doesNotMatch(verified.stdout + verified.stderr, /a secret of the head/)
      if (isMounted) unmount()
    }

    // It can't say that it last started an edition which it didn't.
    project.edit((text) => text.replace('Europe/Amsterdam', 'Europe/Rome'))
    assert.equal((await project.netroot('--root-mode', mode)).status, 0)
    const remount = project.mount()
    const now = project.served().nodes.find(({ name }) => name === 'carter') ?? assert.fail()
    const started = join(project.server(now.rootFolder), 'var/lib/piimage')
    mkdirSync(started, { recursive: true })
    writeFileSync(join(started, 'booted'), '')
    remount()
    assert.equal((await project.netroot('prune', '--keep', '0')).status, 0)
    assert.ok(!existsSync(project.server(node.rootFolder)), 'what it pretends is not believed')
    assert.equal((await project.netroot('remove', '--yes')).status, 0)
    assert.ok(!existsSync(project.server(STATE)))
    assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'a secret of the head\n')
  })

test('too many files are an error, and looking can be stopped', async (t) => {
  const folder = tempFolder(t)
  for (let count = 0; count < 20; count += 1) writeFileSync(join(folder, String(count)), '')
  assert.equal((await listForeign(folder, 20, signal)).length, 20)
  await assert.rejects(listForeign(folder, 19, signal), /holds more than 19 files: too many to list/)
  const stopped = AbortSignal.abort(new Error('stopped'))
  await assert.rejects(listForeign(folder, 20, stopped), /stopped/)
})

test('a folder that becomes a link while it is looked at leads nowhere', async (t) => {
  const folder = tempFolder(t)
  const [root, outside] = [join(folder, 'root'), join(folder, 'outside')]
  for (const path of [join(root, 'a/b'), outside]) mkdirSync(path, { recursive: true })
  writeFileSync(join(outside, 'secret'), 'secret')
  mkdirSync(join(outside, 'b'))
  writeFileSync(join(outside, 'b/secret'), 'secret')
  const seen = new Set<string>()
  // Back and forth, as fast as looking goes.
  for (let round = 0; round < 400; round += 1) {
    const look = listForeign(root, 100, signal)
    if (round % 2 === 0) {
      renameSync(join(root, 'a'), join(folder, 'kept'))
      symlinkSync(outside, join(root, 'a'))
    } else {
      rmSync(join(root, 'a'))
      renameSync(join(folder, 'kept'), join(root, 'a'))
    }
    for (const { path } of await look) seen.add(path)
    const content = await readForeignFile(root, 'a/b/secret', 100)
    assert.equal(content, undefined)
    assert.equal(await statForeign(root, 'a/secret'), undefined)
  }
  assert.deepEqual(
    [...seen].filter((path) => path !== '/a'),
    [],
  )
})
