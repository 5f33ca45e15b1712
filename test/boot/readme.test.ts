/**
 * The README's first real card, made by the README's own lines from an image that
 * boots: it comes up, and lets the person's key in. Slow, see first-boot.test.ts.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { parseKey } from '../../src/catalog/names.ts'
import { packageRoot } from '../../src/package-root.ts'
import { readClusterKey } from '../../src/secrets/cluster-key.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { shellLines } from '../docs/shell-lines.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needTool, run } from '../support/tools.ts'
import { bootCard } from './booted-card.ts'

/** What the network of a guest gives to whoever asks first. */
const address = '10.0.2.15'

test('the first real card of the README boots, and lets its person in', async (t) => {
  const fixture = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to boot')
  if (fixture === undefined) return
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['mcopy', 'mtools'],
    ['ssh', 'openssh-client'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return
  const home = tempFolder(t)
  const identity = join(home, '.ssh/id_ed25519')
  mkdirSync(join(home, '.ssh'))
  assert.equal(run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', identity]).status, 0)
  const folder = join(home, 'home')
  const card = join(folder, 'card.img')
  const cli = join(packageRoot(), 'build/src/cli.js')

  for (const line of shellLines('README.md')) {
    const [program, ...words] = line
      .replace(/^sudo /, '')
      .replaceAll('/dev/sdX', card)
      .split(/\s+/)
    if (program !== 'piimage') continue
    const isInit = words[0] === 'init'
    const ran = run(process.execPath, [cli, ...words, '--yes'], {
      cwd: isInit ? home : folder,
      env: { HOME: home, PIIMAGE_CACHE: join(home, 'cache') },
    })
    assert.equal(ran.status, 0, `${line}\n${ran.stdout}${ran.stderr}`)
    if (isInit) lockFixture(folder, fixture)
  }

  const hostKey = sshHostKey(await readClusterKey(join(folder, 'cluster.key')), 'pi1').publicLine
  const login = { user: 'ops', identity, hostKey: hostKey.split(' ').slice(0, 2).join(' ') }
  const node = await bootCard({ ...login, card, folder: home, address })
  try {
    await node.waitForConsole(/piimage: pi1: firstboot done/, 600_000)
    assert.equal((await node.ssh('hostname')).stdout.trim(), 'pi1')
    await node.shutdown()
  } finally {
    node.kill()
    rmSync(card, { force: true })
  }
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
