/** The ways to a second root, each on a file system that has it; the kernel judges. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { chooseRootMode } from '../../src/netroot/root-modes/choose.ts'
import { attachLoopDevice, detachLoopDevice, makeSparseFile } from '../support/loop.ts'
import { nameOf } from '../support/names-of-processes.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { disklessProject, STATE } from './diskless.ts'

const MiB = 1024 * 1024
const systems = [
  {
    name: 'xfs',
    mkfs: ['mkfs.xfs', '-q'],
    tool: ['mkfs.xfs', 'xfsprogs'],
    mode: 'reflink',
    bytes: 512 * MiB,
  },
  {
    name: 'btrfs',
    mkfs: ['mkfs.btrfs', '-q'],
    tool: ['btrfs', 'btrfs-progs'],
    mode: 'reflink',
    bytes: 256 * MiB,
  },
  {
    name: 'ext4',
    mkfs: ['mkfs.ext4', '-q'],
    tool: ['mkfs.ext4', 'e2fsprogs'],
    mode: 'overlay',
    bytes: 64 * MiB,
  },
] as const

for (const { name, mkfs, tool, mode, bytes } of systems) {
  test(`on ${name} a root is made by ${mode}: nodes apart, and nothing twice on the disk`, async (t) => {
    if (!needRoot(t) || needTool(t, tool[0], tool[1]) === undefined) return
    const project = disklessProject(t)
    const image = project.file('disk')
    makeSparseFile(image, bytes)
    const [command, ...words] = mkfs
    const made = run(command, [...words, image])
    assert.equal(made.status, 0, made.stderr)
    const loop = attachLoopDevice(image)
    const folder = project.server('/')
    project.beforeRemoval(() => {
      run('umount', [folder])
      detachLoopDevice(loop)
    })
    mkdirSync(folder)
    assert.equal(run('mount', [loop, folder]).status, 0)

    const said = await project.netroot('--json')
    assert.equal(said.status, 0, said.stderr)
    assert.equal(said.events.find(({ event }) => event === 'laid-out')?.rootMode, mode)
    if (mode === 'overlay') return
    const [oneil, carter] = project.served().nodes.map(({ rootFolder }) => project.server(rootFolder))
    assert.ok(oneil !== undefined && carter !== undefined)
    const unmount = project.mount()
    writeFileSync(join(oneil, 'etc/fstab'), 'mine\n')
    writeFileSync(join(oneil, 'etc/new'), 'mine\n')
    assert.ok(!existsSync(join(carter, 'etc/new')))
    assert.notEqual(readFileSync(join(carter, 'etc/fstab'), 'utf8'), 'mine\n')
    const points = [oneil, carter].map((point) => lstatSync(point).dev)
    assert.equal(new Set([...points, lstatSync(folder).dev]).size, 3, 'file systems of their own')
    unmount()
    run('sync', ['-f', folder])
    const before = statfsSync(folder)
    project.edit((text) => text.replace('Europe/Amsterdam', 'Europe/Rome'))
    assert.equal((await project.netroot()).status, 0)
    run('sync', ['-f', folder])
    const after = statfsSync(folder)
    const perNode = ((before.bfree - after.bfree) * after.bsize) / 2
    assert.ok(perNode < MiB, `${perNode} bytes for one more root`)

    assert.equal((await project.netroot('prune', '--keep', '0')).status, 0)
    assert.equal((await project.netroot('remove', '--yes')).status, 0)
    assert.equal((await project.netroot('--root-mode', 'copy')).status, 0)
    assert.equal((await project.netroot()).status, 0, 'over the same generation, by another mode')
    assert.equal((await project.netroot('remove', '--yes')).status, 0)
    assert.ok(!existsSync(project.server('/srv/piimage')))
  })
}

test('what is insisted on and can not be had is refused', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  if (statfsSync(project.folder).type !== 0xef53) return t.skip('the temporary folder is not on ext4')
  // On btrfs a clone of an image, as anywhere: a subvolume would keep nobody inside.
  for (const mode of ['reflink', 'btrfs'] as const)
    await assert.rejects(
      chooseRootMode(project.folder, mode),
      /in mode reflink: the file system has no reflinks/,
    )
  const said = await project.netroot('--root-mode', 'reflink')
  assert.equal(said.status, 7)
})

test('a run killed while it tried leaves nothing that stays, and nothing in the way of remove', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  assert.equal((await project.netroot()).status, 0)
  const state = project.server(STATE)
  const { pid } = spawnSync('true')
  const probe = (maker: number) => `${nameOf('.piimage-probe-', maker)}-aaaaaa`
  const [dead, alive] = [probe(pid), probe(process.pid)] as const
  for (const name of [dead, alive]) mkdirSync(join(state, name, 'upper'), { recursive: true })
  await chooseRootMode(state, 'auto')
  assert.deepEqual(
    readdirSync(state).filter((name) => name.startsWith('.')),
    [alive],
  )
  const said = await project.netroot('remove', '--yes')
  assert.equal(said.status, 0, said.stderr)
  assert.ok(!existsSync(state))
})

test('no room: said with the next step; with room again, the next run completes', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const project = disklessProject(t)
  const image = project.file('disk')
  makeSparseFile(image, 16 * MiB)
  assert.equal(run('mkfs.ext4', ['-q', '-m', '0', image]).status, 0)
  const loop = attachLoopDevice(image)
  const folder = project.server('/')
  project.beforeRemoval(() => {
    run('umount', [folder])
    detachLoopDevice(loop)
  })
  mkdirSync(folder)
  assert.equal(run('mount', [loop, folder]).status, 0)
  run('dd', ['if=/dev/zero', `of=${folder}/filler`, 'bs=4096'])
  const full = await project.netroot('--root-mode', 'copy')
  assert.equal(full.status, 7, full.stderr)
  assert.match(full.stderr, /no room|No space/i)
  assert.equal(run('rm', [`${folder}/filler`]).status, 0)
  const said = await project.netroot('--root-mode', 'copy')
  assert.equal(said.status, 0, said.stderr)
})
