/** On every system: a card changed from one node to another has the files of a card made for the other. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { openBootVolume } from '../../src/disk/boot-volume.ts'
import { memoryReader } from '../support/memory-reader.ts'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { type Family, familyProject, makeImage, PASSWORD_HASH, PSK } from './family-project.ts'

type Chosen = Pick<Family, 'name' | 'image' | 'model' | 'clusterhat'>

const families: Chosen[] = [
  { name: 'stretch', image: 'raspios-stretch-armhf-lite@2018-11-13', model: 'pi3b' },
  { name: 'buster', image: 'raspios-buster-armhf-lite@2020-08-20' },
  { name: 'bookworm', image: 'raspios-bookworm-arm64-lite@2025-05-13', model: 'pi5' },
  { name: 'trixie', image: 'raspios-trixie-arm64-lite@2026-06-18' },
  { name: 'hypriotos-1.0', image: 'hypriotos-jessie-armhf-rpi@1.0.0', model: 'pi3b' },
  { name: 'hypriotos-1.9', image: 'hypriotos-stretch-armhf-rpi@1.9.0', model: 'pi3b' },
  { name: 'hypriotos-1.12', image: 'hypriotos-buster-armhf-rpi@1.12.3' },
  {
    name: 'clusterctrl-bullseye',
    image: 'clusterctrl-bullseye-armhf-lite@2023-05-03',
    model: 'zerow',
    clusterhat: 'p1',
  },
]

async function bootFiles(path: string): Promise<Map<string, string>> {
  const { volume } = await openBootVolume(memoryReader(readFileSync(path)))
  const files = new Map<string, string>()
  for await (const entry of volume.walk()) {
    const { path: name, isDirectory } = entry
    files.set(name, isDirectory ? '/' : Buffer.from(await volume.readFile(name)).toString('latin1'))
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)))
}

for (const chosen of families) {
  test(`customise on ${chosen.name}`, async (t) => {
    const family = { ...chosen, system: '', evidence: /./, volume: '', files: [], cmdline: /./ }
    const project = familyProject(t, family)
    if (project === undefined) return
    const place = chosen.clusterhat === undefined ? '' : ', clusterhat: p2'
    const cluster = readFileSync(project.file('cluster.yaml'), 'utf8')
    const hash = `passwordHash: '${PASSWORD_HASH}'`
    writeFileSync(
      project.file('cluster.yaml'),
      `${cluster.replace(hash, 'sudoPassword: false').replace('oneil: {', `oneil: { user: { ${hash} },`)}
  carter: { model: ${chosen.model ?? 'pi4'}${place}, wifi: false, user: { name: sam }, overlays: [ cgroups: false ] }
`,
      { mode: 0o600 },
    )
    for (const node of ['oneil', 'carter']) {
      const said = await project.piimage('flash', '--node', `${node}=${node}.img`)
      assert.equal(said.status, 0, said.stderr)
    }
    const said = await project.piimage('customise', 'oneil.img', '--node', 'carter')
    assert.equal(said.status, 0, said.stderr)
    assert.deepEqual(await bootFiles(project.file('oneil.img')), await bootFiles(project.file('carter.img')))
    const card = readFileSync(project.file('oneil.img'))
    for (const secret of [PASSWORD_HASH, PSK]) assert.ok(!card.includes(secret), 'nothing of oneil is left')
  })
}

test('HypriotOS, as its own script flashes it: image file, host name, user-data with its own users', async (t) => {
  const stock = makeImage(t, 'hypriotos-1.12', join(tempFolder(t), 'hypriotos-rpi-v1.12.3.img'))
  if (stock === undefined) return
  const folder = dirname(stock)
  writeFileSync(
    join(folder, 'user-data'),
    '#cloud-config\nhostname: black-pearl\nusers:\n  - name: jack\n    groups: users,docker\nruncmd:\n  - docker swarm init\n',
  )
  const said = await runPiimage(folder, [
    ...['flash', 'card.img', '--image', stock, '--hostname', 'flying-dutchman', '--userdata', 'user-data'],
    ...['--cache', join(folder, 'cache')],
  ])
  assert.equal(said.status, 0, said.stderr)
  const text = (await bootFiles(join(folder, 'card.img'))).get('user-data') ?? ''
  const settings = parse(text, { version: '1.1' })
  assert.equal(settings.hostname, 'flying-dutchman')
  assert.deepEqual(
    settings.users.map(({ name }: { name: string }) => name),
    ['jack'],
  )
  assert.deepEqual(settings.runcmd[1], ['sh', '-c', 'docker swarm init\n'])
  assert.equal(text.match(/hostname:/g)?.length, 1)
})
