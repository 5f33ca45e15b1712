/** Cards that piimage baked, of four systems for four boards: nothing is found on them, and each planted fault is. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Model } from '../../src/cluster/node.ts'
import { Changes } from '../../src/disk/changes.ts'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { readPartitions } from '../../src/disk/partitions.ts'
import { openFileReader } from '../../src/io/file-reader.ts'
import { checkCard } from '../../src/rehearsal/card/check-card.ts'
import { type Family, type FamilyProject, familyProject, makeImage } from '../families/family-project.ts'
import { demoProject } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'
import { bootFiles, elf, type Files, rootFiles, writeFiles } from './boot-tree.ts'
import { type Boot, type CardFault, cardFaults } from './card-faults.ts'

const modified = new Date(Date.UTC(2026, 0, 1))

interface CardKind {
  model: Model
  family: string
  image: string
  /** Of the root's programs. */
  machine: number
  mount: string
  trigger: Boot['trigger']
  files: Pick<Boot, 'kernel' | 'tree' | 'initramfs' | 'start' | 'fixup'>
}

const kinds: CardKind[] = [
  {
    ...{ model: 'pi4', family: 'trixie', image: 'raspios-trixie-arm64-lite@2026-06-18', machine: 183 },
    ...{ mount: '/boot/firmware', trigger: 'cloud-init' },
    files: {
      ...{ kernel: 'kernel8.img', tree: 'bcm2711-rpi-4-b.dtb', initramfs: 'initramfs8' },
      ...{ start: 'start4.elf', fixup: 'fixup4.dat' },
    },
  },
  {
    ...{ model: 'pi5', family: 'bookworm', image: 'raspios-bookworm-arm64-lite@2025-05-13', machine: 183 },
    ...{ mount: '/boot/firmware', trigger: 'systemd.run' },
    files: { kernel: 'kernel_2712.img', tree: 'bcm2712-rpi-5-b.dtb', initramfs: 'initramfs_2712' },
  },
  {
    ...{ model: 'pi3b', family: 'bullseye', image: 'raspios-bullseye-arm64-lite@2023-05-03', machine: 183 },
    ...{ mount: '/boot', trigger: 'systemd.run' },
    files: {
      ...{ kernel: 'kernel8.img', tree: 'bcm2710-rpi-3-b.dtb', start: 'start.elf', fixup: 'fixup.dat' },
    },
  },
  {
    ...{ model: 'pi3b+', family: 'stretch', image: 'raspios-stretch-armhf-lite@2018-11-13', machine: 40 },
    ...{ mount: '/boot', trigger: 'init' },
    files: {
      ...{ kernel: 'kernel7.img', tree: 'bcm2710-rpi-3-b-plus.dtb', start: 'start.elf', fixup: 'fixup.dat' },
    },
  },
]

/** Real headers and a root that could start, in place of the fixture's stand-ins. */
async function fill(
  t: TestContext,
  image: string,
  { machine, mount, family, files }: CardKind,
): Promise<void> {
  const isUbuntu = family.startsWith('ubuntu')
  const isDebian = family.startsWith('debian')
  const reader = await openFileReader(image)
  const { partitions } = await readPartitions(reader)
  const [bootPartition, rootPartition] = partitions
  assert.ok(bootPartition !== undefined && rootPartition !== undefined)
  const changes = new Changes(reader)
  const volume = await FatVolume.open(editorAt(changes, bootPartition))
  // What a fixture has of these is a stand-in; what it lacks, its system lacks, too.
  const own = new Set((await volume.list('')).map(({ name }) => name))
  const trees = bootFiles()['bcm2711-rpi-4-b.dtb'] as Uint8Array
  for (const [name, bytes] of Object.entries({ ...bootFiles(), 'bcm2712-rpi-5-b.dtb': trees }))
    if (!/config\.txt|overlays/.test(name) && (own.has(name) || /2712|initramfs7/.test(name)))
      // A kernel that is packed shows where it ends.
      await volume.writeFile(name, name === 'kernel_2712.img' ? gzipSync(bytes) : Buffer.from(bytes), {
        modified,
      })
  if (isUbuntu || isDebian) {
    const { kernel, tree, initramfs = '' } = files
    await volume.writeFile(kernel, Buffer.from(bootFiles()['kernel8.img'] as Uint8Array), { modified })
    await volume.writeFile(initramfs, Buffer.from(bootFiles().initramfs8 as Uint8Array), { modified })
    await volume.writeFile(tree, Buffer.from(trees), { modified })
  }
  const written = Buffer.from(await changes.read(0, changes.length))
  await reader.close()
  const root: Files = {
    ...rootFiles('raspberrypi'),
    'etc/fstab': `proc /proc proc defaults 0 0\nPARTUUID=x-01 ${mount} vfat defaults 0 2\n`,
    'etc/os-release': isUbuntu
      ? 'ID=ubuntu\nVERSION_CODENAME=noble\n'
      : `ID=debian\n${isDebian ? 'VERSION_CODENAME=bookworm\n' : ''}`,
    ...(family === 'trixie-preseed' ? { 'usr/bin/rpi-preseed': '#!/bin/sh\n' } : {}),
    'usr/lib/systemd/systemd': elf(machine),
    'bin/bash': elf(machine),
    'usr/lib/systemd/system-generators/systemd-run-generator': elf(machine),
    'etc/cloud/cloud.cfg': '',
    ...(family === 'trixie' || isUbuntu ? { 'usr/bin/cloud-init': '#!/usr/bin/python3\n' } : {}),
    'usr/lib/raspi-config/init_resize.sh': '#!/bin/sh\n',
    'usr/lib/raspberrypi-sys-mods/firstboot': '#!/bin/bash\n',
  }
  const folder = tempFolder(t)
  writeFiles(folder, root)
  mkdirSync(join(folder, 'sbin'))
  run('ln', ['-s', 'usr/lib', join(folder, 'lib')])
  mkdirSync(join(folder, 'usr/sbin'))
  run('ln', ['-s', '/lib/systemd/systemd', join(folder, 'usr/sbin/init')])
  run('rmdir', [join(folder, 'sbin')])
  run('ln', ['-s', 'usr/sbin', join(folder, 'sbin')])
  run('cp', [join(folder, 'bin/bash'), join(folder, 'bin/sh')])
  run('bash', ['-c', 'chmod 755 "$0"/usr/lib/systemd/systemd "$0"/bin/* "$0"/usr/lib/rasp*/*', folder])
  const volumeFile = join(tempFolder(t), 'root.img')
  writeFileSync(volumeFile, '')
  truncateSync(volumeFile, rootPartition.length)
  const name = isUbuntu ? 'writable' : isDebian ? 'RASPIROOT' : 'rootfs'
  const label = ['-L', name, '-O', '^huge_file,^64bit']
  assert.equal(run('mke2fs', ['-q', '-t', 'ext4', ...label, '-d', folder, volumeFile]).status, 0)
  readFileSync(volumeFile).copy(written, rootPartition.offset)
  writeFileSync(image, written)
}

const editorAt = (changes: Changes, { offset, length }: { offset: number; length: number }) => ({
  length,
  read: (at: number, count: number) => changes.read(offset + at, count),
  write: (at: number, bytes: Uint8Array) => changes.write(offset + at, bytes),
})

/** A cluster whose image has a kernel and a system. */
async function projectFor(t: TestContext, kind: CardKind): Promise<FamilyProject | undefined> {
  const stock = join(tempFolder(t), 'stock.img')
  if (makeImage(t, kind.family, stock) === undefined) return undefined
  await fill(t, stock, kind)
  const family: Family = {
    ...{ name: kind.family, image: kind.image, model: kind.model, system: '', evidence: /./ },
    ...{ volume: '', files: [], cmdline: /./ },
  }
  return familyProject(t, family, (image) => copyFileSync(stock, image))
}

/** @returns the path of the node's image */
async function bakeCard(t: TestContext, kind: CardKind): Promise<string | undefined> {
  const project = await projectFor(t, kind)
  if (project === undefined) return undefined
  const { status, stderr } = await project.piimage('bake', '--node', 'oneil', '-o', 'out', '--yes')
  assert.equal(status, 0, stderr)
  const [name] = readdirSync(project.file('out')).filter((file) => file.endsWith('.img'))
  return project.file(join('out', name ?? ''))
}

async function plant(t: TestContext, card: string, kind: CardKind, fault: CardFault): Promise<Changes> {
  let path = card
  const { partitions } = await readPartitions(await openIn(t, card))
  const [bootPartition, rootPartition] = partitions
  assert.ok(bootPartition !== undefined && rootPartition !== undefined)
  if (fault.root !== undefined) {
    const folder = tempFolder(t)
    path = join(folder, 'card.img')
    run('cp', ['--sparse=always', card, path])
    writeFileSync(join(folder, 'PC'), elf(62))
    writeFileSync(join(folder, 'FSTAB'), 'PARTUUID=x-01 /boot/other vfat defaults 0 2\n')
    writeFileSync(
      join(folder, 'UBUNTU'),
      'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nVERSION_CODENAME=noble\n',
    )
    writeFileSync(join(folder, 'FORKY'), 'ID=debian\nVERSION_CODENAME=forky\n')
    const commands = fault.root.map((command) => command.replace(/ ([A-Z]+) /, ` ${folder}/$1 `))
    const { offset } = rootPartition
    const ran = run('debugfs', ['-w', '-f', '-', `${path}?offset=${offset}`], {
      input: `${commands.join('\n')}\n`,
    })
    assert.equal(ran.status, 0, ran.stderr)
  }
  const changes = new Changes(await openIn(t, path))
  const volume = await FatVolume.open(editorAt(changes, bootPartition))
  const put = (name: string, bytes: Uint8Array | string) =>
    volume.writeFile(name, Buffer.from(bytes), { modified })
  await fault.boot?.({
    ...{ volume, put, trigger: kind.trigger, ...kind.files },
    async remove(name) {
      if ((await volume.stat(name)) !== undefined) await volume.remove(name)
    },
    edit: async (name, change) =>
      put(name, change(Buffer.from(await volume.readFile(name)).toString('latin1'))),
    async cut(name, keep) {
      const bytes = await volume.readFile(name)
      await put(name, bytes.subarray(0, Math.floor(bytes.length * keep)))
    },
  })
  return changes
}

async function openIn(t: TestContext, path: string) {
  const reader = await openFileReader(path)
  t.after(() => reader.close())
  return reader
}

for (const kind of kinds)
  test(`a card of ${kind.family} for a ${kind.model}: nothing is wrong, and each planted fault is found`, async (t) => {
    const card = await bakeCard(t, kind)
    if (card === undefined) return
    const check = async (image: Changes) => {
      const { faults, empty } = await checkCard({ image, model: kind.model })
      assert.equal(empty, false)
      return faults.map(({ place, problem }) => `${place}: ${problem}`)
    }
    assert.deepEqual(await check(new Changes(await openIn(t, card))), [])
    for (const fault of cardFaults) {
      if (fault.on?.includes(kind.model) === false) continue
      await t.test(fault.name, async (own) => {
        const found = await check(await plant(own, card, kind, fault))
        const named = found.filter((line) => {
          const [place = '', ...problem] = line.split(': ')
          return fault.place.test(place) && fault.says.test(problem.join(': '))
        })
        assert.ok(named.length > 0, `found only ${JSON.stringify(found)}`)
        assert.ok(found.length <= 3, `one fault, and a wall of findings: ${JSON.stringify(found)}`)
      })
    }
  })

const ubuntus: CardKind[] = ['', 'current/'].map((folder) => ({
  ...{ model: 'pi4', family: folder === '' ? 'ubuntu-24.04' : 'ubuntu-26.04', machine: 183 },
  ...{ image: 'ubuntu-noble-arm64-server@24.04.4', mount: '/boot/firmware', trigger: 'cloud-init' },
  files: {
    ...{ kernel: `${folder}vmlinuz`, tree: `${folder}bcm2711-rpi-4-b.dtb` },
    ...{ initramfs: `${folder}initrd.img`, start: 'start4.elf', fixup: 'fixup4.dat' },
  },
}))
for (const kind of ubuntus)
  test(`a card of ${kind.family}: nothing is wrong; a root of another system and a missing file are found`, async (t) => {
    const card = await bakeCard(t, kind)
    if (card === undefined) return
    const check = async (image: Changes) =>
      (await checkCard({ image, model: kind.model })).faults.map(
        ({ place, problem }) => `${place}: ${problem}`,
      )
    assert.deepEqual(await check(new Changes(await openIn(t, card))), [])
    const fault = { name: '', place: /./, says: /./ }
    const other = ['rm /etc/os-release', 'write FORKY /etc/os-release']
    const layout = kind.family === 'ubuntu-24.04' ? '22.04' : '25.10'
    assert.deepEqual(await check(await plant(t, card, kind, { ...fault, root: other })), [
      `/etc/os-release: the root is debian forky, and the boot partition was taken for ubuntu ${layout}`,
    ])
    const without = await plant(t, card, kind, { ...fault, boot: ({ remove, kernel }) => remove(kernel) })
    assert.match((await check(without)).join('\n'), /vmlinuz: not found/)
  })

const pi4 = { model: 'pi4' as const, machine: 183, mount: '/boot/firmware', trigger: 'systemd.run' as const }
const own = {
  ...{ kernel: 'kernel8.img', tree: 'bcm2711-rpi-4-b.dtb', initramfs: 'initramfs8' },
  ...{ start: 'start4.elf', fixup: 'fixup4.dat' },
}
const version = '6.1.0-13-arm64'
const crlf = (text: string) => text.replaceAll('\n', '\r\n')
const others: { kind: CardKind; faults: CardFault[] }[] = [
  {
    kind: {
      ...{ ...pi4, family: 'debian-bookworm', image: 'debian-bookworm-arm64-raspi@2023-11-09' },
      files: { ...own, kernel: `vmlinuz-${version}`, initramfs: `initrd.img-${version}` },
    },
    faults: [
      {
        ...{ name: 'a root of another release', root: ['rm /etc/os-release', 'write FORKY /etc/os-release'] },
        ...{ place: /os-release/, says: /the root is debian forky, .* was taken for debian bookworm/ },
      },
      {
        ...{ name: 'no kernel', boot: ({ remove, kernel }) => remove(kernel) },
        ...{ place: /^vmlinuz/, says: /not found/ },
      },
      {
        ...{ name: 'mounted elsewhere', root: ['rm /etc/fstab', 'write FSTAB /etc/fstab'] },
        ...{ place: /^cmdline\.txt$/, says: /\/etc\/fstab mounts the boot partition at \/boot\/other/ },
      },
    ],
  },
  {
    kind: { ...pi4, family: 'dietpi', image: 'dietpi-trixie-arm64-rpi@2026-02-14', files: own },
    faults: [
      {
        ...{ name: 'no script', boot: ({ remove }) => remove('Automation_Custom_PreScript.sh') },
        ...{ place: /^Automation_Custom_PreScript\.sh$/, says: /^not found/ },
      },
      {
        ...{
          name: "somebody's own script",
          boot: ({ put }) => put('Automation_Custom_PreScript.sh', '#!/bin/sh\n'),
        },
        ...{ place: /^Automation_Custom_PreScript\.sh$/, says: /does not start piimage\/install\.sh/ },
      },
      {
        ...{ name: 'an editor of Windows', boot: ({ edit }) => edit('dietpi.txt', crlf) },
        ...{ place: /^dietpi\.txt$/, says: /carriage returns/ },
      },
    ],
  },
  {
    kind: { ...pi4, family: 'trixie-preseed', image: 'raspios-trixie-arm64-lite@2026-07-22', files: own },
    faults: [
      {
        ...{
          name: 'a file that Imager wrote since',
          boot: ({ put }) => put('rpi-preseed.toml', 'config_version = "1.0"\n[system]\nhostname = "pi"\n'),
        },
        ...{ place: /^rpi-preseed\.toml$/, says: /it sets system\.hostname on the boot after/ },
      },
    ],
  },
]
for (const { kind, faults } of others)
  test(`a card of ${kind.family}: nothing is wrong, and each planted fault is found`, async (t) => {
    const card = await bakeCard(t, kind)
    if (card === undefined) return
    const check = async (image: Changes) => (await checkCard({ image, model: kind.model })).faults
    assert.deepEqual(await check(new Changes(await openIn(t, card))), [])
    for (const fault of faults) {
      const found = await check(await plant(t, card, kind, fault))
      const isNamed = found.some(({ place, problem }) => fault.place.test(place) && fault.says.test(problem))
      assert.ok(isNamed && found.length <= 2, `${fault.name}: found ${JSON.stringify(found)}`)
    }
  })

test('fixtures without a kernel and a system are called so once, whatever the board', async (t) => {
  for (const family of ['stretch', 'trixie', 'ubuntu-26.04', 'hypriotos-1.12', 'clusterctrl-bookworm']) {
    const image = makeImage(t, family, join(tempFolder(t), 'image.img'))
    if (image === undefined) return
    for (const model of ['zero', 'pi3b', 'pi4', 'pi5'] as const) {
      const { faults, notes, empty } = await checkCard({ image: await openIn(t, image), model })
      assert.deepEqual([faults, empty], [[], true], family)
      assert.equal(notes.length, 1)
    }
  }
})

test('the demo has nothing to start', async (t) => {
  const project = demoProject(t)
  const { status } = await project.piimage('bake', '--all', '-o', 'out', '--yes')
  assert.equal(status, 0)
  for (const name of readdirSync(project.file('out')).filter((file) => file.endsWith('.img'))) {
    const { faults, empty } = await checkCard({
      image: await openIn(t, project.file(join('out', name))),
      model: 'pi4',
    })
    assert.deepEqual([faults, empty], [[], true])
  }
})

test('every command refuses a card that would not boot, names the file, and makes it with --force', async (t) => {
  const [kind] = kinds as [CardKind]
  const project = await projectFor(t, kind)
  if (project === undefined) return
  const stock = project.file('stock.img')
  const { partitions } = await readPartitions(await openIn(t, stock))
  const changes = new Changes(await openIn(t, stock))
  const volume = await FatVolume.open(editorAt(changes, partitions[0] as (typeof partitions)[number]))
  for (const name of ['kernel8.img', 'kernel7l.img', 'kernel7.img', 'kernel.img']) await volume.remove(name)
  writeFileSync(stock, Buffer.from(await changes.read(0, changes.length)))
  project.lock()
  const node = ['--node', 'oneil']
  const says = /kernel8\.img: not found: no kernel for this board/
  for (const words of [
    ['plan', ...node],
    ['bake', ...node, '-o', 'out', '--yes'],
    ['flash', ...node, 'card.img', '--yes'],
  ]) {
    const refused = await project.piimage(...words)
    assert.equal(refused.status, 7, `${words[0]}: ${refused.stderr}`)
    assert.match(refused.stderr, says)
    assert.match(refused.stderr, /--force/)
    const made = await project.piimage(...words, '--force')
    assert.equal(made.status, 0, made.stderr)
    assert.match(made.stderr, says, 'it is said all the same')
  }
  const looked = await project.piimage('inspect', 'card.img')
  assert.equal(looked.status, 7)
  assert.match(looked.stdout, /boot on a pi4: \d fault/)
  assert.match(looked.stdout, says)
  const changed = await project.piimage('customise', 'card.img', ...node, '--yes')
  assert.equal(changed.status, 7)
  assert.equal((await project.piimage('customise', 'card.img', ...node, '--yes', '--force')).status, 0)
})
