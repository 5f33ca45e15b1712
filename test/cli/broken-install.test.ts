/** An installation with a part missing says which; what it was to work on is not blamed. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { DEMO_IMAGE } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { type Ran, run } from '../support/tools.ts'

/** piimage and the packages it needs, but for some. */
function install(t: TestContext, isMissing: (path: string) => boolean): (...words: string[]) => Ran {
  const folder = tempFolder(t)
  cpSync(join(import.meta.dirname, '../../src'), join(folder, 'dist'), { recursive: true })
  for (const name of ['overlays', 'firstboot', 'schema', 'examples', 'images.lock.json', 'package.json'])
    cpSync(join(packageRoot(), name), join(folder, name), { recursive: true })
  mkdirSync(join(folder, 'node_modules'))
  for (const name of readdirSync(join(packageRoot(), 'node_modules')))
    if (!isMissing(`node_modules/${name}`))
      symlinkSync(join(packageRoot(), 'node_modules', name), join(folder, 'node_modules', name))
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    if (!name.startsWith('node_modules') && isMissing(name))
      rmSync(join(folder, name), { recursive: true, force: true })
  return (...words) =>
    run(process.execPath, [join(folder, 'dist/cli.js'), ...words, '--cache', join(folder, 'cache')], {
      cwd: folder,
      env: { HOME: folder, PATH: '' },
    })
}

const flash = ['flash', '--image', DEMO_IMAGE, '--hostname', 'a', 'a.img']

for (const [missing, words] of [
  ['node_modules/xz-decompress', flash],
  ['node_modules/yaml', flash],
  ['node_modules/ajv', ['images', 'list']],
  ['node_modules/yargs', ['--help']],
  ['dist/unpack/xz-worker.js', flash],
  ['firstboot', flash],
] as const)
  test(`without ${missing}: piimage ${words.join(' ')}`, (t) => {
    const { status, stderr } = install(t, (path) => path === missing)(...words)
    assert.equal(status, 1, stderr)
    assert.doesNotMatch(stderr, /damaged|publisher/)
    // Without the library of the command line, there is no piimage to say it.
    if (missing === 'node_modules/yargs') assert.match(stderr, /Cannot find package 'yargs'/)
    else assert.match(stderr, new RegExp(`a part of piimage is missing: .*${missing.split('/').at(-1)}`))
  })
