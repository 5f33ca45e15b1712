/**
 * etcher-sdk, what balenaEtcher writes with, into a folder of the bench's own.
 *
 * Two of what it depends on can't be had from every registry as it asks for
 * them (a fork on GitHub, a version that was withdrawn): the overrides take
 * what npm has. Its install scripts are not run; of its native parts, those
 * without a prebuilt binary in the package are compiled here, with the headers
 * that lie beside Node. Needs npm, a compiler and Python.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const PACKAGE = {
  name: 'piimage-bench-etcher',
  private: true,
  dependencies: { 'etcher-sdk': '10.2.15' },
  overrides: { 'unbzip2-stream': '1.4.3', 'typedarray.prototype.slice': '1.0.5' },
}
const COMPILED = ['@ronomon/direct-io', 'xxhash-addon', 'drivelist', 'mountutils']

/** @returns why it can't be measured here; undefined: it is there */
export function installEtcher(folder: string): string | undefined {
  const ready = join(folder, 'ready')
  if (existsSync(ready)) return undefined
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify(PACKAGE, null, 2))
  const npm = spawnSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).stdout.trim()
  if (npm === '') return 'npm is not here'
  process.stderr.write(`installing etcher-sdk into ${folder}\n`)
  const flags = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--loglevel=error']
  const failed = run(folder, npm, ['install', ...flags])
  if (failed !== undefined) return `npm can't install it: ${failed}`
  const gyp = join(dirname(realpathSync(npm)), '../node_modules/node-gyp/bin/node-gyp.js')
  const prefix = dirname(dirname(process.execPath))
  const headers = existsSync(join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : []
  for (const name of COMPILED) {
    const broken = run(join(folder, 'node_modules', name), process.execPath, [gyp, 'rebuild', ...headers])
    if (broken !== undefined) return `${name} can't be compiled: ${broken}`
  }
  writeFileSync(ready, '')
  return undefined
}

/** @returns the last line of what went wrong */
function run(cwd: string, program: string, args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' })
  if (status === 0) return undefined
  const lines = (stderr ?? '').split('\n').filter((line) => /error|ERR!/i.test(line))
  return error?.message ?? lines[0] ?? `status ${status}`
}
