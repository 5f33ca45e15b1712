/** piimage as a library: packed, installed into an empty folder, imported, with types. */
import assert from 'node:assert/strict'
import { cpSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { DEMO_LAYOUT } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

test('packed and installed into an empty folder, the example flashes the demo into a file', (t) => {
  const npm = needTool(t, 'npm', 'npm')
  if (npm === undefined) return
  const folder = tempFolder(t)
  const ok = (command: string, ...args: string[]): string => {
    const { status, stdout, stderr } = run(command, args, {
      cwd: folder,
      env: { HOME: folder, PATH: process.env.PATH ?? '' },
    })
    assert.equal(status, 0, stderr)
    return stdout
  }
  const packed = run(npm, ['pack', '--silent', '--pack-destination', folder], { cwd: packageRoot() })
  assert.equal(packed.status, 0, packed.stderr)
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  ok(npm, 'install', '--no-audit', '--no-fund', '--silent', `./${packed.stdout.trim()}`)
  cpSync(join(packageRoot(), 'examples/api/flash.mjs'), join(folder, 'flash.mjs'))

  const said = ok(process.execPath, 'flash.mjs')
  for (const phase of ['unpack', 'write', 'verify'])
    assert.match(said, new RegExp(`^${phase}: \\d+ bytes$`, 'm'))
  assert.match(said, /^flashed oneil to oneil\.img$/m)
  assert.equal(statSync(join(folder, 'oneil.img')).size, DEMO_LAYOUT.length)

  const again = run(process.execPath, ['flash.mjs'], { cwd: folder, env: { HOME: folder } })
  assert.notEqual(again.status, 0)
  assert.match(again.stderr, /UsageError: not confirmed, nothing was written/)

  // What a program in TypeScript sees of it.
  writeFileSync(join(folder, 'use.ts'), USE)
  ok(
    process.execPath,
    join(packageRoot(), 'node_modules/typescript/bin/tsc'),
    ...['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'],
    ...['--typeRoots', join(packageRoot(), 'node_modules/@types'), 'use.ts'],
  )
})

const USE = `import { DriveError, flash, images, inspect, netroot, plan, type WorkEvent } from 'piimage'
const events: WorkEvent[] = []
const result: { flashed: { node: string; drive: string }[] } = await flash(
  { cluster: 'cluster.yaml', targets: [{ node: 'oneil', drive: 'oneil.img' }], retries: 1 },
  { onEvent: (event) => void events.push(event), confirm: async ({ about }) => about === 'erase' },
)
for (const event of events) if (event.event === 'flashed') console.log(event.node, event.bytesWritten, result)
const found = await inspect({ path: 'oneil.img', check: true }).catch((error: unknown) => {
  if (error instanceof DriveError) return undefined
  throw error
})
if (found !== undefined && 'partitions' in found) console.log(found.equal?.node)
console.log((await images.list({})).images.length, (await plan({ nodes: ['oneil'] })).nodes)
console.log((await netroot.verify({ offline: true })).nodes)
// @ts-expect-error a request without targets is none
await flash({ cluster: 'cluster.yaml' })
`
