/** Images whose config.txt has the kernel's command line elsewhere: that file is edited, and the one nobody reads is left. */
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openBootVolume } from '../../src/disk/boot-volume.ts'
import { Changes } from '../../src/disk/changes.ts'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { openFileReader } from '../../src/io/file-reader.ts'
import { type Family, familyProject } from './family-project.ts'

const modified = new Date(Date.UTC(2026, 0, 1))
const tree = Buffer.concat([Buffer.from('d00dfeed', 'hex'), Buffer.alloc(100)])

interface Elsewhere {
  name: string
  family: string
  image: string
  model: string
  /** Added to config.txt. */
  config: string
  /** Further files; 'line' stands for the image's own command line. */
  files: Record<string, Uint8Array | 'line' | string>
  /** The file that the board reads. */
  path: string
  started: RegExp
}

const trixie = {
  family: 'trixie',
  image: 'raspios-trixie-arm64-lite@2026-06-18',
  started: /ds=nocloud;i=piimage-oneil/,
}
const bookworm = { family: 'bookworm', image: 'raspios-bookworm-arm64-lite@2025-05-13' }
const run = /systemd\.run=\/boot\/firmware\/piimage\/install\.sh/
const inPrefix = {
  'current/kernel8.img': 'kernel',
  'current/bcm2711-rpi-4-b.dtb': tree,
  'current/cmdline.txt': 'line' as const,
}

const cases: Elsewhere[] = [
  {
    name: 'cmdline=',
    ...trixie,
    model: 'pi4',
    config: '[all]\ncmdline=mine.txt\n',
    files: { 'mine.txt': 'line' },
    path: 'mine.txt',
  },
  {
    name: 'os_prefix=',
    ...trixie,
    model: 'pi4',
    config: '[all]\nos_prefix=current/\n',
    files: inPrefix,
    path: 'current/cmdline.txt',
  },
  {
    name: 'os_prefix= without a tree for this board',
    ...{ ...trixie, model: 'pi5', config: '[all]\nos_prefix=current/\n' },
    files: inPrefix,
    path: 'cmdline.txt',
  },
  {
    name: 'cmdline= for another board',
    ...{ ...trixie, model: 'pi4', config: '[pi5]\ncmdline=mine.txt\n[all]\n' },
    files: { 'mine.txt': 'line' },
    path: 'cmdline.txt',
  },
  {
    name: 'cmdline= in an included file',
    ...{ ...bookworm, started: run, model: 'pi5', config: '[pi5]\ninclude user.txt\n' },
    files: { 'user.txt': 'cmdline=mine.txt\n', 'mine.txt': 'line' },
    path: 'mine.txt',
  },
  {
    name: 'a trial is not what it boots',
    ...{
      ...bookworm,
      started: run,
      model: 'pi4',
      config: '[all]\nos_prefix=current/\n[tryboot]\nos_prefix=new/\n[all]\n',
    },
    files: {
      ...inPrefix,
      'new/kernel8.img': 'k',
      'new/bcm2711-rpi-4-b.dtb': tree,
      'new/cmdline.txt': 'line',
    },
    path: 'current/cmdline.txt',
  },
]

for (const { name, family, image, model, config, files, path, started } of cases)
  test(`the command line is written where the firmware reads it: ${name}`, async (t) => {
    const kind: Family = {
      ...{ name: family, image, model, system: '', evidence: /./, volume: '', files: [], cmdline: /./ },
    }
    const stock = new Map<string, Buffer>()
    const project = familyProject(t, kind)
    if (project === undefined) return
    const reader = await openFileReader(project.file('stock.img'))
    const changes = new Changes(reader)
    const { volume } = await openBootVolume(changes)
    const own = await volume.readFile('cmdline.txt')
    const put = (at: string, bytes: Uint8Array | string) =>
      volume.writeFile(at, Buffer.from(bytes), { modified })
    await put('config.txt', Buffer.concat([await volume.readFile('config.txt'), Buffer.from(`\n${config}`)]))
    for (const [at, content] of Object.entries(files)) {
      if (at.includes('/')) await volume.mkdir(at.slice(0, at.indexOf('/')), { modified })
      await put(at, content === 'line' ? own : content)
    }
    for (const at of ['cmdline.txt', 'mine.txt', 'current/cmdline.txt', 'new/cmdline.txt'])
      if ((await volume.stat(at)) !== undefined) stock.set(at, Buffer.from(await volume.readFile(at)))
    writeFileSync(project.file('stock.img'), Buffer.from(await changes.read(0, changes.length)))
    await reader.close()
    project.lock()

    const { status, stderr } = await project.piimage('bake', '--node', 'oneil', '-o', 'out', '--yes')
    assert.equal(status, 0, stderr)
    const [file = ''] = readdirSync(project.file('out')).filter((other) => other.endsWith('.img'))
    const card = await openFileReader(project.file(join('out', file)))
    t.after(() => card.close())
    const { volume: baked } = await openBootVolume(card)
    for (const [at, before] of stock) {
      const line = Buffer.from(await baked.readFile(at))
      if (at === path) assert.match(line.toString(), started)
      else assert.ok(line.equals(before), `${at}, which this board does not read, is left`)
    }
    const environment = Buffer.from(await baked.readFile('piimage/node.env')).toString()
    if (path === 'cmdline.txt') assert.doesNotMatch(environment, /PIIMAGE_CMDLINE/)
    else assert.match(environment, new RegExp(`^PIIMAGE_CMDLINE='?${path}'?$`, 'm'))
    assert.equal((await project.piimage('inspect', join('out', file), '--check')).status, 0)
    // Another plan over the card finds the line, and takes our own parts of it out first.
    const again = await project.piimage('customise', join('out', file), '--node', 'oneil', '--yes')
    assert.equal(again.status, 0, again.stderr)
  })

test('a line of config.txt that depends on a pin is told', async (t) => {
  const kind: Family = {
    ...{
      name: 'trixie',
      image: trixie.image,
      system: '',
      evidence: /./,
      volume: '',
      files: [],
      cmdline: /./,
    },
  }
  const project = familyProject(t, kind)
  if (project === undefined) return
  const reader = await openFileReader(project.file('stock.img'))
  const changes = new Changes(reader)
  const { volume } = await openBootVolume(changes)
  assert.ok(volume instanceof FatVolume)
  await volume.writeFile('config.txt', Buffer.from('[gpio4=1]\ncmdline=mine.txt\n[all]\n'), { modified })
  writeFileSync(project.file('stock.img'), Buffer.from(await changes.read(0, changes.length)))
  await reader.close()
  project.lock()
  const { status, stdout, stderr } = await project.piimage('plan', '--node', 'oneil')
  assert.equal(status, 0, stderr)
  assert.match(stdout, /config\.txt:2: cmdline=mine\.txt under \[gpio4=1\] may give the board other files/)
})
