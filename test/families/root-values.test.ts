/** An image in the cache judges a node's values before anything is written; it is read once for all nodes. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readPartitions } from '../../src/disk/partitions.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'
import { type Family, type FamilyProject, familyProject } from './family-project.ts'

const bookworm = {
  ...{ name: 'bookworm', image: 'raspios-bookworm-arm64-lite@2025-05-13', model: 'pi5' },
  ...{ system: '', evidence: /./, volume: '', files: [], cmdline: /./ },
} satisfies Family

/** A Bookworm whose root has these files, and a cluster file that was adapted. */
async function projectOf(
  t: TestContext,
  files: Record<string, string>,
  adapt: (cluster: string) => string = (text) => text,
): Promise<FamilyProject | undefined> {
  const folder = tempFolder(t)
  const project = familyProject(t, bookworm)
  if (project === undefined) return undefined
  const stock = project.file('stock.img')
  const root = (await readPartitions(memoryReader(readFileSync(stock)))).partitions.at(-1)
  const commands = Object.entries(files).flatMap(([path, text], index) => {
    const from = join(folder, `${index}`)
    writeFileSync(from, text)
    const parents = path.split('/').slice(0, -1)
    const folders = parents.map((_, depth) => `mkdir /${parents.slice(0, depth + 1).join('/')}`)
    return [...folders, `rm /${path}`, `write ${from} /${path}`]
  })
  const edited = run('debugfs', ['-w', '-f', '-', `${stock}?offset=${root?.offset}`], {
    input: `${commands.join('\n')}\n`,
  })
  assert.equal(edited.status, 0, edited.stderr)
  project.lock()
  writeFileSync(project.file('cluster.yaml'), adapt(readFileSync(project.file('cluster.yaml'), 'utf8')))
  return project
}

const root = {
  'etc/passwd': 'root:x:0:0::/root:/bin/bash\nklipper:x:997:997::/:/bin/false\n',
  'usr/share/zoneinfo/tzdata.zi': 'Z Europe/Kiev 2 - EET\n',
  'usr/share/zoneinfo/Europe/Kiev': 'TZif2',
}

test('values that this image has no use for are refused at their places', async (t) => {
  const project = await projectOf(t, root, (text) => text.replace('name: ops', 'name: klipper'))
  if (project === undefined) return
  for (const command of [
    ['plan'],
    ['bake', '--node', 'oneil', '-o', 'baked'],
    ['flash', '--node', 'oneil=x.img'],
  ]) {
    const said = await project.piimage(...command)
    assert.equal(said.status, 2, said.stderr)
    assert.match(
      said.stderr,
      /cluster\.yaml:4:9: oneil: "klipper" is an account of the image's own \(uid 997\)/,
    )
    assert.match(
      said.stderr,
      /cluster\.yaml:\d+:\d+: oneil: raspios-bookworm\S+ knows no time zone "Europe\/Berlin"/,
    )
  }
})

test('a zone is written as this image calls it', async (t) => {
  const project = await projectOf(t, root, (text) => text.replace('Europe/Berlin', 'Europe/Kyiv'))
  if (project === undefined) return
  const said = await project.piimage('plan')
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stdout, /PIIMAGE_TIMEZONE='?Europe\/Kiev/)
})

test('a release that the lock and the root do not agree on', async (t) => {
  const project = await projectOf(t, {
    'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_CODENAME=trixie\n',
  })
  if (project === undefined) return
  const said = await project.piimage('plan')
  assert.equal(said.status, 2, said.stderr)
  assert.match(
    said.stderr,
    /stands in the lock with release bookworm, and its \/etc\/os-release says .*trixie/,
  )
})
