/**
 * The main job, start to end, on the image that ships with piimage: a cluster
 * folder, three verified card files, and what is on them. No network, no
 * hardware, no root.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'piimage-demo-'))

function piimage(...args) {
  process.stdout.write(`\n$ piimage ${args.join(' ')}\n`)
  const { status } = spawnSync(
    process.execPath,
    [cli, ...args, '--offline', '--cache', join(folder, 'cache')],
    {
      cwd: folder,
      stdio: 'inherit',
    },
  )
  if (status !== 0) process.exit(status ?? 1)
}

process.stdout.write(`in ${folder}\n`)
piimage('init', '--template', 'demo', '--name', 'demo')
piimage('plan', '--node', 'oneil')
piimage('flash', '--node', 'hammond=hammond.img', '--node', 'oneil=oneil.img', '--node', 'carter=carter.img')
for (const node of ['hammond', 'oneil', 'carter']) piimage('inspect', `${node}.img`, '--check')
process.stdout.write(`\nThe card files are in ${folder}; remove it when you have seen enough.\n`)
