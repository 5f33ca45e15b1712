/** A node's root read from its folder, and from the layers of an overlay that isn't mounted. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openRootTree } from '../../src/rehearsal/system/root-tree.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, run } from '../support/tools.ts'

test('links stay inside the root', async (t) => {
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'usr/bin'), { recursive: true })
  writeFileSync(join(folder, 'usr/bin/sh'), 'shell')
  symlinkSync('/usr/bin', join(folder, 'bin'))
  symlinkSync('../../../../../usr/bin/sh', join(folder, 'usr/bin/out'))
  symlinkSync('/etc/passwd', join(folder, 'passwd'))
  symlinkSync('loop', join(folder, 'loop'))
  const root = openRootTree(folder)
  assert.equal(String(await root.read('/bin/sh')), 'shell')
  assert.equal(String(await root.read('/bin/out')), 'shell')
  assert.equal(String(await root.read('/bin/sh', 2)), 'sh')
  for (const path of ['/passwd', '/loop', '/none/sh', '/usr'])
    assert.equal(await root.read(path), undefined, path)
  assert.deepEqual(await root.list('/bin'), ['out', 'sh'])
  assert.deepEqual(await root.list('/none'), [])
})

test('the layers of an overlay are what the mounted one shows', async (t) => {
  if (!needRoot(t)) return
  const folder = tempFolder(t, () => run('umount', ['-l', join(folder, 'merged')]))
  const at = (...parts: string[]) => join(folder, ...parts)
  for (const name of ['lower/etc/ssh', 'lower/usr', 'upper', 'work', 'merged'])
    mkdirSync(at(name), { recursive: true })
  for (const name of ['etc/fstab', 'etc/hostname', 'etc/gone', 'etc/ssh/key'])
    writeFileSync(at('lower', name), 'base')
  symlinkSync('usr', at('lower/lib'))
  const layers = ['lowerdir=lower', 'upperdir=upper', 'workdir=work'].map((option) =>
    option.replace('=', `=${folder}/`),
  )
  const mounted = run('mount', ['-t', 'overlay', 'overlay', '-o', layers.join(','), at('merged')])
  assert.equal(mounted.status, 0, mounted.stderr)
  writeFileSync(at('merged/etc/hostname'), 'oneil')
  rmSync(at('merged/etc/gone'))
  rmSync(at('merged/etc/ssh'), { recursive: true })
  writeFileSync(at('merged/usr/late'), 'late')

  const shown = openRootTree(at('merged'))
  const read = openRootTree(at('merged'), [at('upper'), at('lower')])
  for (const path of ['/', '/etc', '/etc/ssh', '/lib', '/usr'])
    assert.deepEqual(await read.list(path), await shown.list(path), path)
  for (const path of ['/etc/fstab', '/etc/hostname', '/etc/gone', '/etc/ssh/key', '/lib/late'])
    assert.deepEqual(String(await read.read(path)), String(await shown.read(path)), path)
})

test('where nothing says what is mounted, an overlay is read from its layers', (t) => {
  if (!needRoot(t)) return
  const folder = tempFolder(t)
  for (const name of ['lower/etc', 'upper/etc', 'merged']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'lower/etc/hostname'), 'base')
  writeFileSync(join(folder, 'upper/etc/hostname'), 'oneil')
  const module = new URL('../../src/rehearsal/system/root-tree.js', import.meta.url).href
  const node = { rootFolder: '/merged', overlay: { upper: '/upper', lower: '/lower' } }
  const script = `
    const { filesUnder, openNodeRoot } = await import(${JSON.stringify(module)})
    const root = await openNodeRoot(${JSON.stringify(node)}, filesUnder(${JSON.stringify(folder)}))
    process.stdout.write(await root.read('/etc/hostname'))`
  const without = 'mount -t tmpfs tmpfs /proc && exec "$@"'
  const words = ['sh', process.execPath, '--input-type=module', '-e', script]
  const said = run('unshare', ['--mount', 'sh', '-c', without, ...words])
  assert.equal(said.status, 0, said.stderr)
  assert.equal(said.stdout, 'oneil')
})
