/** Killed at twenty moments: the next run completes, and what is served is always whole. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageRoot } from '../../src/package-root.ts'
import { figure } from '../support/figures.ts'
import { needRoot } from '../support/tools.ts'
import { type Diskless, disklessProject, isImage, listing, mountsBelow, STATE } from './diskless.ts'

const cli = join(packageRoot(), 'build', 'src', 'cli.js')

/** Start it as a process of its own. @returns how it ended */
async function runKilled(project: Diskless, args: string[], afterMs: number): Promise<number | null> {
  const words = ['netroot', ...args, '--prefix', project.server('/'), '--cache', project.file('cache')]
  const child = spawn(process.execPath, [cli, ...words], { cwd: project.folder, stdio: 'ignore' })
  const ended = new Promise<number | null>((done) => child.on('exit', done))
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs)
  const status = await ended
  clearTimeout(timer)
  return status
}

/** Whatever a link in the TFTP root leads to is a whole boot tree of one edition, and so is its root. */
function checkServed(project: Diskless): void {
  const tftp = project.server(`${STATE}/tftp`)
  if (!existsSync(tftp)) return
  for (const name of readdirSync(tftp).filter((one) => one !== 'bootcode.bin' && !one.endsWith('.part'))) {
    const boot = realpathSync(join(tftp, name))
    const cmdline = readFileSync(join(boot, 'cmdline.txt'), 'utf8')
    const edition = boot.split('/').at(-2) ?? ''
    assert.ok(cmdline.includes(`/${edition}/private/`), 'boot tree and root are of one edition')
    assert.ok(existsSync(join(boot, 'kernel8.img')) && existsSync(join(boot, '..', 'edition.json')))
  }
}

test('killed at twenty moments, the next run gives the tree of an undisturbed one', async (t) => {
  if (!needRoot(t)) return
  const mode = ['--root-mode', 'overlay']
  /** What is in the images, and beside them. */
  const laidOut = (project: Diskless) => {
    const unmount = project.mount()
    // Numbers of inodes are part of an overlay's own bookkeeping.
    const all = listing(project.server('/'), (path) => isImage(path) || path.includes('/private/own/work'))
    unmount()
    return all
  }
  const calm = disklessProject(t)
  const began = performance.now()
  assert.equal(await runKilled(calm, mode, 120_000), 0)
  const longest = performance.now() - began
  const expected = laidOut(calm)

  let killed = 0
  for (const round of [0, 1, 2, 3]) {
    const project = disklessProject(t)
    for (const step of [1, 2, 3, 4, 5]) {
      const share = (step + round / 4) / 6.5
      if ((await runKilled(project, mode, 200 + longest * share)) === null) killed += 1
      checkServed(project)
    }
    const said = await project.netroot(...mode)
    assert.equal(said.status, 0, said.stderr)
    assert.deepEqual(mountsBelow(project.folder), [])
    assert.deepEqual(laidOut(project), expected)
  }
  assert.ok(killed >= 10, `only ${killed} runs were killed before they ended`)
  // The least there are, so that the figure is the same in every run.
  figure(t, 'kills', 10)
})

test('a second process waits for the first, and finds everything done', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  const first = runKilled(project, ['--root-mode', 'copy'], 120_000)
  while (!existsSync(project.server(`${STATE}/lock`))) await sleep(5)
  const second = await project.netroot('--root-mode', 'copy')
  assert.equal(await first, 0)
  assert.equal(second.status, 0, second.stderr)
  assert.match(second.stderr, /waiting for process \d+, which changes \/srv\/piimage\/demo/)
  assert.match(second.stdout, /everything is laid out already/)
})
