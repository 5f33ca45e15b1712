/** What piimage is made of: few packages, all pinned by digest, none that runs code when it is installed. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../src/package-root.ts'

interface LockedPackage {
  version?: string
  resolved?: string
  integrity?: string
  hasInstallScript?: boolean
  license?: string
  dev?: boolean
}

const read = (name: string): string => readFileSync(join(packageRoot(), name), 'utf8')
const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> }
const { dependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<
  'dependencies' | 'optionalDependencies',
  Record<string, string>
>
const installed = Object.entries(packages).filter(([path]) => path !== '')

test('every package is pinned by version and digest; none comes from git, a folder or an address of its own', () => {
  for (const [path, { version, resolved, integrity }] of installed) {
    assert.match(version ?? '', /^\d+\.\d+\.\d+/, path)
    assert.match(integrity ?? '', /^sha512-/, path)
    assert.equal(resolved, undefined, path)
  }
})

test('no package runs a script when it is installed', () => {
  assert.deepEqual(
    installed.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path),
    [],
  )
})

test('what is shipped has a licence that lets it be shipped', () => {
  const shipped = installed.filter(([, { dev }]) => dev !== true)
  for (const [path, { license }] of shipped)
    assert.match(
      license ?? '',
      /^(MIT|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0|BlueOak-1\.0\.0|LGPL-3\.0(-or-later|\+)?)$/,
      path,
    )
})

test('the docs say of each package what it is for', () => {
  const table = read('docs/dependencies.md')
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies }))
    assert.ok(table.includes(`\`${name}\``) || table.includes(`| ${name} `), name)
})
