/**
 * The README's first real card, made by the README's own lines from an image that
 * boots: `piimage boot` says that it comes up, and lets the person's key in. By a
 * user who may do nothing on this machine: no root, no loop device. Slow, see
 * first-boot.test.ts.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chownSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { parseKey } from '../../src/catalog/names.ts'
import { packageRoot } from '../../src/package-root.ts'
import { shellLines } from '../docs/shell-lines.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needRoot, needTool, run } from '../support/tools.ts'

/** Debian's `nobody`. */
const NOBODY = 65534

test('the first real card of the README boots, and lets its person in', async (t) => {
  const fixture = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to boot')
  if (fixture === undefined || !needRoot(t)) return
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['setpriv', 'util-linux'],
    ['ssh', 'openssh-client'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return
  const home = tempFolder(t)
  chownSync(home, NOBODY, NOBODY)
  const asNobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--no-new-privs']
  const as = (words: readonly string[], cwd: string) =>
    run('setpriv', [...asNobody, ...words], {
      cwd,
      env: { HOME: home, TMPDIR: home, PIIMAGE_CACHE: join(home, 'cache') },
    })
  const identity = join(home, '.ssh/id_ed25519')
  assert.equal(as(['mkdir', '-m', '700', '.ssh'], home).status, 0)
  assert.equal(as(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', identity], home).status, 0)
  const folder = join(home, 'home')
  const card = join(folder, 'card.img')
  const cli = join(packageRoot(), 'build/src/cli.js')
  let booted = ''

  for (const line of shellLines('README.md')) {
    const [program, ...words] = line
      .replace(/^sudo /, '')
      .replaceAll('/dev/sdX', card)
      .split(/\s+/)
    if (program !== 'piimage') continue
    const isInit = words[0] === 'init'
    const ran = as([process.execPath, cli, ...words, '--yes'], isInit ? home : folder)
    assert.equal(ran.status, 0, `${line}\n${ran.stdout}${ran.stderr}`)
    if (isInit) lockFixture(folder, fixture)
    if (words[0] === 'boot') booted = ran.stdout
  }
  t.diagnostic(booted)
  for (const answer of [
    /host key the derived one, login by key, host name pi1/,
    /first boot done/,
    /^pi1: yes, in \d+ s: started virt/m,
  ])
    assert.match(booted, answer)
  const left = readdirSync(home).filter((name) => name.startsWith('piimage-boot-'))
  assert.deepEqual(left, [], 'nothing is left of the run')
})

/** The image that init chose, as far as the lock says: an image that boots, in its place. */
function lockFixture(folder: string, fixture: string): void {
  const image = /^image: (\S+)$/m.exec(readFileSync(join(folder, 'cluster.yaml'), 'utf8'))?.[1] ?? ''
  const sha256 = createHash('sha256').update(readFileSync(fixture)).digest('hex')
  const entry = {
    ...parseKey(image),
    url: pathToFileURL(fixture).href,
    format: 'xz',
    download: { size: statSync(fixture).size, sha256, source: { kind: 'computed' } },
    extracted: null,
  }
  writeFileSync(
    join(folder, 'images.lock.json'),
    JSON.stringify({ lockfileVersion: 1, images: { [image]: entry } }),
  )
}
