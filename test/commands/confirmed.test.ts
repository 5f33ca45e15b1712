/** `flash`: what was confirmed is what is written, and what nobody looked at must be named. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { MiB } from '../../src/units.ts'
import { attachLoop, detachLoopDevice, makeSparseFile } from '../support/loop.ts'
import { DEMO_LAYOUT, demoProject } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

function makeCard(t: TestContext, bytes = DEMO_LAYOUT.length + 16 * MiB): string {
  const file = join(tempFolder(t), 'card.bin')
  makeSparseFile(file, bytes)
  return file
}

function formatted(t: TestContext, label: string): string {
  const file = makeCard(t)
  assert.equal(run('mkfs.ext4', ['-q', '-L', label, file]).status, 0)
  return file
}

const typeOf = (file: string): string =>
  run('blkid', ['-p', '-o', 'value', '-s', 'LABEL', file]).stdout.trim()

test('a card that is exchanged while the question waits keeps what is on it', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const precious = formatted(t, 'PRECIOUS')
  const path = run('losetup', ['--find', '--show', makeCard(t)]).stdout.trim()
  t.after(() => run('losetup', ['--detach', path]))
  const project = demoProject(t, {
    answer: () => {
      detachLoopDevice(path)
      assert.equal(run('losetup', [path, precious]).status, 0)
      return true
    },
  })
  const said = await project.piimage('flash', '--node', 'oneil', path)
  assert.match(said.stderr, /is not the drive that was confirmed: its /)
  assert.equal(said.status, 5)
  assert.equal(typeOf(precious), 'PRECIOUS')
})

test('--yes erases what somebody else put there only where it is named', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const project = demoProject(t)
  const flash = (path: string, ...args: string[]) =>
    project.piimage('flash', '--node', 'oneil', path, '--yes', ...args)
  const file = formatted(t, 'FAMILYPHOTOS')
  const path = attachLoop(t, file)
  const shown = await project.piimage('drives')
  assert.match(shown.stdout, /holds FAMILYPHOTOS \(ext4\)/)
  const refused = await flash(path)
  assert.equal(refused.status, 5)
  assert.match(refused.stderr, /holds FAMILYPHOTOS \(ext4\), which piimage did not write/)
  assert.match(refused.stderr, /--erase FAMILYPHOTOS/)
  assert.equal((await flash(path, '--erase', 'OTHER')).status, 5)
  assert.equal(typeOf(file), 'FAMILYPHOTOS')
  assert.equal((await flash(path, '--erase', 'familyphotos')).status, 0)
  // What piimage wrote is its own.
  const again = await flash(path)
  assert.equal(again.status, 0)
  assert.match(again.stderr, /; the card of oneil \(cluster demo, demo-trixie-arm64-lite@2025-12-05\)/)
  assert.match(again.stderr, /up to 62\.9 MB to write and read back: about 1 min/)
  const swap = makeCard(t)
  assert.equal(run('mkswap', [swap]).status, 0)
  const other = attachLoop(t, swap)
  assert.match((await flash(other)).stderr, /holds swap, .*\n.*--erase swap/)
  assert.equal((await flash(other, '--erase', 'any')).status, 0)
})

test('a card as it is sold, one FAT without files, needs no name', async (t) => {
  const mkfs = needTool(t, 'mkfs.vfat', 'dosfstools')
  const mcopy = needTool(t, 'mcopy', 'mtools')
  if (!needRoot(t) || mkfs === undefined || mcopy === undefined) return
  const project = demoProject(t)
  const [fresh, used] = [makeCard(t), makeCard(t)]
  for (const file of [fresh, used]) assert.equal(run(mkfs, ['-F', '32', '-n', 'SANDISK', file]).status, 0)
  assert.equal(run(mcopy, ['-i', used, project.file('cluster.yaml'), '::letter.txt']).status, 0)
  const flash = (file: string) => project.piimage('flash', '--node', 'oneil', attachLoop(t, file), '--yes')
  assert.match((await flash(used)).stderr, /holds SANDISK \(vfat\), which piimage did not write/)
  assert.equal((await flash(fresh)).status, 0)
})
