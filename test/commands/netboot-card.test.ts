/** Cards that help a board onto the network: made by the command line, read by mtools. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { MiB } from '../../src/units.ts'
import { DEMO_LAYOUT, demoProject } from '../support/project.ts'
import { needTool, run } from '../support/tools.ts'

test('bake --bootcode: one partition, one file, the same bytes again', async (t) => {
  for (const [tool, debianPackage] of [
    ['mcopy', 'mtools'],
    ['fsck.fat', 'dosfstools'],
    ['dd', 'coreutils'],
  ] as const)
    if (needTool(t, tool, debianPackage) === undefined) return
  const project = demoProject(t)
  const yaml = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(
    project.file('cluster.yaml'),
    yaml.replace('oneil: { model: pi3b+,', 'oneil: { model: pi3b, boot: net,'),
  )
  const bake = (...args: string[]) => project.piimage('bake', ...args, '-o', project.file('out'))

  const said = await bake('--bootcode', '--node', 'oneil')
  assert.equal(said.status, 0, said.stderr)
  const image = project.file('out/bootcode.img')
  const first = readFileSync(image)
  assert.equal(first.length, 65 * MiB)
  const at = `${image}@@${MiB}`
  assert.match(run('mdir', ['-b', '-i', at, '::']).stdout, /^::\/bootcode\.bin\n$/)
  const volume = project.file('volume.img')
  run('dd', [`if=${image}`, `of=${volume}`, 'bs=1M', 'skip=1'])
  const checked = run('fsck.fat', ['-n', volume])
  assert.equal(checked.status, 0, checked.stdout)
  run('mcopy', ['-i', at, '::bootcode.bin', project.file('card.bin')])
  const demo = project.file('demo.img')
  assert.equal(run('bash', ['-c', 'xz -dc "$0" > "$1"', project.file('demo.img.xz'), demo]).status, 0)
  run('mcopy', ['-i', `${demo}@@${DEMO_LAYOUT.boot.offset}`, '::bootcode.bin', project.file('image.bin')])
  assert.ok(readFileSync(project.file('card.bin')).equals(readFileSync(project.file('image.bin'))))

  assert.equal((await bake('--bootcode', '--node', 'oneil')).status, 2, 'nothing is replaced unasked')
  assert.equal((await bake('--bootcode', '--node', 'hammond', '--yes')).status, 0)
  assert.ok(readFileSync(image).equals(first), 'it is not a node’s own')
  assert.equal(
    (await bake('--bootcode', '--all', '--yes')).status,
    2,
    'no Pi 1 or 2 boots from the network here',
  )
})

test('bake --otp: the image, and one line more', async (t) => {
  if (needTool(t, 'mcopy', 'mtools') === undefined) return
  const project = demoProject(t)
  const yaml = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(
    project.file('cluster.yaml'),
    yaml.replace('oneil: { model: pi3b+,', 'oneil: { model: pi3b, boot: net,'),
  )
  const said = await project.piimage('bake', '--otp', '--all', '-o', project.file('out'))
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stderr, /can never be cleared/)
  const at = `${project.file('out/otp.img')}@@${DEMO_LAYOUT.boot.offset}`
  const config = run('mcopy', ['-i', at, '::config.txt', '-']).stdout
  assert.match(config, /\n\[all\]\nprogram_usb_boot_mode=1\n# END piimage\n$/)
  assert.equal(run('mcopy', ['-i', at, '::user-data', '-']).stdout.includes('oneil'), false)
})
