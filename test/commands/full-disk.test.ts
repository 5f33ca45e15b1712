/** A disk without room, and a folder that takes nothing: said in a sentence, and nothing is left. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { demoProject, type Project } from '../support/project.ts'
import { needRoot, run } from '../support/tools.ts'

function mountSmall(project: Project, options: string): void {
  const folder = project.file('full')
  mkdirSync(folder)
  project.beforeRemoval(() => run('umount', [folder]))
  assert.equal(run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status, 0)
}

/** Until not a byte more goes in. */
const fillUp = (project: Project) =>
  assert.notEqual(run('dd', ['if=/dev/zero', `of=${project.file('full/filler.img')}`, 'bs=1k']).status, 0)

const bake = ['bake', '--node', 'oneil', '-o', 'full', '--format', 'img']

test('bake without room for the image, or for its first byte', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  mountSmall(project, 'size=64k')
  for (const there of [[], ['filler.img']]) {
    if (there.length > 0) fillUp(project)
    const said = await project.piimage(...bake)
    assert.equal(said.status, 5, said.stderr)
    assert.match(
      said.stderr,
      /there is no room for .*\/full\/oneil\.img \(ENOSPC\); no image was made\n {2}\S/,
    )
    assert.deepEqual(readdirSync(project.file('full')), there)
  }
})

test('bake into a read-only file system', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  mountSmall(project, 'ro')
  const said = await project.piimage(...bake)
  assert.equal(said.status, 2, said.stderr)
  assert.match(said.stderr, /full\/oneil\.img can't be made: EROFS/)
})

test('where nobody foresaw it, a full disk is no bug either', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  mountSmall(project, 'size=64k')
  writeFileSync(project.file('full/some.img'), '')
  fillUp(project)
  const said = await project.piimage('customise', 'full/some.img', '--node', 'oneil', '--yes')
  assert.equal(said.status, 2, said.stderr)
  assert.match(said.stderr, /^piimage: there is no room left \(ENOSPC: .*\)\n {2}Free some space/m)
})
