/** Whatever is not a spare card is refused with one sentence and one hint, and nothing is written. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { attachLoop, makeSparseFile } from '../support/loop.ts'
import { demoProject, type Project } from '../support/project.ts'
import { needRoot, run } from '../support/tools.ts'

const MiB = 1024 * 1024

interface Refusal {
  name: string
  root?: boolean
  /** @returns the DRIVE to name */
  prepare(t: TestContext, project: Project): string
  status: number
  says: RegExp
}

const rootDisk = (): string => {
  const source = run('findmnt', ['-n', '-o', 'SOURCE', '/']).stdout.trim()
  const parent = run('lsblk', ['-n', '-d', '-o', 'PKNAME', source]).stdout.trim()
  return parent === '' ? source : `/dev/${parent}`
}

const refusals: Refusal[] = [
  { name: 'the root disk', root: true, prepare: rootDisk, status: 5, says: /holds the running system/ },
  {
    name: 'a mounted loop device',
    root: true,
    prepare(t, project) {
      makeSparseFile(project.file('card'), 128 * MiB)
      assert.equal(run('mke2fs', ['-q', '-F', project.file('card')]).status, 0)
      const loop = attachLoop(t, project.file('card'))
      mkdirSync(project.file('mnt'))
      assert.equal(run('mount', [loop, project.file('mnt')]).status, 0)
      project.beforeRemoval(() => run('umount', [project.file('mnt')]))
      return loop
    },
    status: 5,
    says: /is mounted/,
  },
  {
    name: 'a drive that is too small',
    root: true,
    prepare(t, project) {
      makeSparseFile(project.file('card'), 32 * MiB)
      return attachLoop(t, project.file('card'))
    },
    status: 5,
    says: /33\.6 MB.*62\.9 MB|62\.9 MB.*33\.6 MB/s,
  },
  {
    name: 'a read-only drive',
    root: true,
    prepare(t, project) {
      makeSparseFile(project.file('card'), 128 * MiB)
      return attachLoop(t, project.file('card'), { readOnly: true })
    },
    status: 5,
    says: /read-only|write-protected/,
  },
  {
    name: 'a card with 4 KiB sectors',
    root: true,
    prepare(t, project) {
      makeSparseFile(project.file('card'), 128 * MiB)
      return attachLoop(t, project.file('card'), { sectorSize: 4096 })
    },
    status: 5,
    says: /4096|4\.1 kB|4 KiB/,
  },
  { name: 'a folder', prepare: (_t, project) => project.folder, status: 5, says: /is a folder, not a drive/ },
  { name: 'a missing file', prepare: (_t, project) => project.file('sdz'), status: 2, says: /there is no/ },
  {
    name: 'a file that is no .img',
    prepare: (_t, project) => project.file('cluster.yaml'),
    status: 5,
    says: /is a file, not a drive/,
  },
  { name: 'a character device', prepare: () => '/dev/null', status: 5, says: /character device/ },
]

for (const { name, root, prepare, status, says } of refusals) {
  test(`flash refuses ${name}`, async (t) => {
    if (root === true && !needRoot(t)) return
    const project = demoProject(t)
    const drive = prepare(t, project)
    const before = ['card', 'cluster.yaml'].map((file) => digest(project.file(file)))
    const said = await project.piimage('flash', '--node', `oneil=${drive}`, '--yes')
    assert.equal(said.status, status, said.stderr)
    const [sentence = '', hint = '', ...more] = said.stderr.trim().split('\n')
    assert.match(sentence, says)
    assert.match(sentence, /^piimage: /)
    assert.match(hint, /^ {2}\S/, 'a hint follows')
    assert.deepEqual(more, [])
    assert.deepEqual(
      ['card', 'cluster.yaml'].map((file) => digest(project.file(file))),
      before,
      'nothing was written',
    )
  })
}

const digest = (path: string): string => run('sh', ['-c', 'sha256sum "$1" 2>&1 || true', 'sh', path]).stdout

test('an existing file is not overwritten without a yes', async (t) => {
  const project = demoProject(t)
  writeFileSync(project.file('oneil.img'), 'mine')
  const said = await project.piimage('flash', '--node', 'oneil=oneil.img')
  assert.equal(said.status, 2)
  assert.match(said.stderr, /not confirmed, nothing was written/)
  assert.equal(readFileSync(project.file('oneil.img'), 'utf8'), 'mine')
  assert.equal((await project.piimage('flash', '--node', 'oneil=oneil.img', '--yes')).status, 0)
})

for (const [words, says] of [
  [['flash', '--node', 'oneil'], /no drive for node "oneil"/],
  [['flash', '/dev/null', '--node', 'oneil', '/dev/zero'], /no node for drive \/dev\/zero/],
  [['flash', '--node', 'nobody=x.img'], /no node "nobody".*\n.*hammond, oneil, carter/],
  [['flash', '--node', 'oneil=a.img', '--node', 'carter=a.img'], /drive a\.img is named twice/],
  [['flash', '--node', 'oneil=/dev/null', '--probe', '--changed-only'], /--probe writes all over the card/],
  [['flash', '--node', 'oneil=a.img', '--probe'], /--probe is for cards; a\.img is a file/],
  [['flahs'], /flash/],
  [['plan', '--nodes', 'x'], /there is no flag --nodes\n.*did you mean --node\?/],
  [['flash', '--nod', 'x'], /there is no flag --nod\n.*did you mean --node\?/],
  [['flash', '--xyzzy'], /there is no flag --xyzzy\n.*piimage flash --help lists/],
  [['flash', '--node', 'oneil', 'card2'], /there is no .*card2\n.*let its name end in \.img/],
  [['flash', '--node', 'oneil', '/dev/no-such-card'], /there is no \/dev\/no-such-card\n.*Is the card in\?/],
  [[], /no command given/],
] as const) {
  test(`piimage ${words.join(' ')}: status 2`, async (t) => {
    const said = await demoProject(t).piimage(...words)
    assert.equal(said.status, 2, said.stderr)
    assert.match(said.stderr, says)
  })
}
