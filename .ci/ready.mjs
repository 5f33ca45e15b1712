/** Make a checkout ready to run: install what package-lock.json pins unless it is there already, and build. */
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const changed = (path) =>
  statSync(new URL(`../${path}`, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`piimage needs Node 20.19 or newer, this is ${process.versions.node}\n`)
  process.exit(1)
}
const npm = (...args) => {
  const { status } = spawnSync('npm', args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (status !== 0) process.exit(status ?? 1)
}
if (changed('node_modules/.package-lock.json') < changed('package-lock.json'))
  npm('ci', '--no-audit', '--no-fund', '--loglevel=error')
npm('run', 'build')
