/** Whole command lines over a small image: what lies on the server afterwards, and who may read it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { overlaysOf } from '../../src/servers/mounts.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { disklessProject, isImage, listing, mountsBelow, STATE } from './diskless.ts'

const read = (path: string): string => readFileSync(path, 'utf8')

test('--dry-run shows every path and file, and writes nothing', async (t) => {
  const project = disklessProject(t)
  const said = await project.netroot('--dry-run')
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stdout, /\+ oneil {2}pi3b\+ {2}192\.168\.2\.11 {2}tftp a1b2c3d4/)
  assert.match(
    said.stdout,
    /cmdline .*root=\/dev\/nfs nfsroot=192\.168\.2\.10:\/srv\/piimage\/demo\/nodes\/oneil\//,
  )
  assert.match(said.stdout, /^\+\+\+ b\/etc\/exports\.d\/piimage\.exports$/m)
  assert.match(said.stderr, /carter has no serial number .* b8-27-eb-00-00-01/)
  assert.doesNotMatch(said.stdout + said.stderr, /PRIVATE KEY/)
  assert.ok(!existsSync(project.server('/')), 'not even the prefix')
})

for (const mode of ['copy', 'overlay'] as const) {
  test(`laid out by ${mode}: identities apart, secrets with root, links to boot trees`, async (t) => {
    if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
    const project = disklessProject(t)
    const said = await project.netroot('--root-mode', mode, '--json')
    assert.equal(said.status, 0, said.stderr)
    const served = project.served()
    assert.deepEqual(said.events.at(-1)?.served, served)
    assert.deepEqual(mountsBelow(project.folder), [], 'nothing stays mounted')

    const unmount = project.mount()
    const rootOf = (wanted: string) => {
      const { rootFolder } = served.nodes.find(({ name }) => name === wanted) ?? assert.fail(wanted)
      return (path: string) => join(project.server(rootFolder), path)
    }
    const oneil = rootOf('oneil')
    const carter = rootOf('carter')
    for (const path of ['etc/machine-id', 'etc/ssh/ssh_host_ed25519_key', 'etc/hostname'])
      assert.notEqual(read(oneil(path)), read(carter(path)), path)
    assert.equal(read(oneil('etc/hostname')), 'oneil\n')
    assert.match(read(oneil('etc/machine-id')), /^[0-9a-f]{32}\n$/)
    assert.equal(read(oneil('etc/fstab')), 'proc /proc proc defaults 0 0\n')
    assert.equal(lstatSync(oneil('etc/ssh/ssh_host_ed25519_key')).mode & 0o7777, 0o600)
    assert.equal(lstatSync(oneil('boot/firmware/piimage')).mode & 0o7777, 0o700)
    assert.ok(existsSync(oneil('boot/firmware/piimage/install.sh')))
    assert.ok(
      existsSync(oneil('etc/systemd/system/multi-user.target.wants/piimage-firstboot.service')) === false,
    )
    assert.equal(
      readlinkSync(oneil('etc/systemd/system/multi-user.target.wants/piimage-firstboot.service')),
      '/etc/systemd/system/piimage-firstboot.service',
    )
    assert.ok(existsSync(oneil('usr/bin')), 'what the image has is there')

    // What one writes, the other and the base don't see.
    writeFileSync(oneil('etc/motd'), 'from oneil\n')
    writeFileSync(oneil('etc/hosts'), 'changed\n')
    assert.ok(!existsSync(carter('etc/motd')))
    assert.match(read(carter('etc/hosts')), /carter/)
    for (const { lower } of overlaysOf(served)) {
      assert.ok(!existsSync(join(project.server(lower), 'etc/motd')))
      assert.match(read(join(project.server(lower), 'etc/hosts')), /raspberrypi/)
    }
    const diff = () => project.netroot('diff', 'oneil')
    assert.equal((await diff()).stdout, 'oneil ~ /etc/hosts\noneil + /etc/motd\n')
    unmount()
    const unmounted = await diff()
    assert.equal(unmounted.stdout, 'oneil ~ /etc/hosts\noneil + /etc/motd\n', unmounted.stderr)
    assert.deepEqual(mountsBelow(project.folder), [])

    const tftp = project.server(`${STATE}/tftp`)
    assert.deepEqual(readdirSync(tftp).sort(), ['a1b2c3d4', 'b8-27-eb-00-00-01', 'bootcode.bin'])
    const boot = realpathSync(join(tftp, 'a1b2c3d4'))
    assert.match(read(join(boot, 'cmdline.txt')), /:oneil:eth0:off /)
    assert.match(read(join(boot, 'config.txt')), /^# .*\ndtparam=sd_poll_once=on\n/)
    assert.ok(!existsSync(join(boot, 'user-data')) && !existsSync(join(boot, 'piimage')))
    assert.ok(lstatSync(join(boot, 'kernel8.img')).nlink >= 3, "the generation's own file")
    assert.equal(lstatSync(join(boot, 'cmdline.txt')).nlink, 1)
  })
}

test('nothing is world-writable, and only what TFTP serves can be reached', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  assert.equal((await project.netroot('--root-mode', 'copy')).status, 0)
  const wide = run('find', [project.server('/'), '!', '-type', 'l', '-perm', '-o+w', '!', '-perm', '-1000'])
  assert.equal(wide.stdout, '')
  const exports = read(project.server('/etc/exports.d/piimage.exports'))
  const lines = exports.split('\n').filter((line) => line.startsWith('/'))
  assert.equal(lines.length, 3, 'two roots and a volume')
  for (const line of lines) assert.match(line, /^\/srv\/piimage\/demo\/\S+ 192\.168\.2\.1[12]\(rw,/)
  const dnsmasq = read(project.server('/etc/dnsmasq.d/piimage-netroot.conf'))
  assert.deepEqual(dnsmasq.match(/^interface=.*$/gm), ['interface=eth0'])
  assert.match(dnsmasq, /^bind-/m)
  const nobody = (path: string) =>
    run('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'cat', path]).status
  run('chmod', ['o+x', project.folder])
  const nodes = `${STATE}/nodes/oneil/current`
  assert.equal(nobody(project.server(`${STATE}/tftp/a1b2c3d4/cmdline.txt`)), 0)
  assert.notEqual(nobody(project.server(`${nodes}/private/root/etc/hostname`)), 0)
  assert.notEqual(nobody(project.server(`${STATE}/volumes/oneil/storage.ext4`)), 0)
  assert.notEqual(nobody(project.server(`${STATE}/served.json`)), 0)
  assert.equal(run('sh', ['-c', `umask 0; mkdir -p ${project.server('/x')}`]).status, 0)
})

test('the volume is a sound ext4 with a folder for each that needs one', async (t) => {
  if (!needRoot(t) || needTool(t, 'e2fsck', 'e2fsprogs') === undefined) return
  const project = disklessProject(t)
  assert.equal((await project.netroot('--root-mode', 'copy')).status, 0)
  const image = project.server(`${STATE}/volumes/oneil/storage.img`)
  assert.equal(run('e2fsck', ['-f', '-n', image]).status, 0)
  assert.ok(lstatSync(image).blocks * 512 < 4 * 1024 * 1024, 'sparse')
  project.mount()
  const volume = project.server(`${STATE}/volumes/oneil/export/storage.ext4`)
  assert.equal(run('e2fsck', ['-f', '-n', volume]).status, 0)
  assert.equal(lstatSync(volume).size, 64 * 1024 * 1024)
  const names = run('debugfs', ['-R', 'ls -p /', volume]).stdout
  for (const name of ['docker', 'containerd', 'rancher'])
    assert.match(names, new RegExp(`/0?40\\d+/0/0/${name}/`))
  assert.ok(lstatSync(volume).blocks * 512 < 4 * 1024 * 1024, 'sparse')
  assert.ok(!existsSync(project.server(`${STATE}/volumes/carter`)), 'not asked for')
})

test('a volume of an earlier piimage moves into an image, with what is in it', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const project = disklessProject(t)
  assert.equal((await project.netroot('--root-mode', 'copy')).status, 0)
  const folder = project.server(`${STATE}/volumes/oneil`)
  const old = join(folder, 'storage.ext4')
  const unmount = project.mount()
  assert.equal(run('cp', ['--sparse=always', join(folder, 'export/storage.ext4'), old]).status, 0)
  unmount()
  assert.equal(run('rm', [join(folder, 'storage.img')]).status, 0)
  assert.equal(run('debugfs', ['-w', '-R', 'mkdir /docker/swarm', old]).status, 0)
  const said = await project.netroot('--root-mode', 'copy')
  assert.equal(said.status, 0, said.stderr)
  assert.match(
    said.stderr,
    /holds the volume that an earlier piimage kept .*; its node must be started again/,
  )
  assert.ok(!existsSync(old))
  project.mount()
  const names = run('debugfs', ['-R', 'ls -p /docker', join(folder, 'export/storage.ext4')]).stdout
  assert.match(names, /\/swarm\//)
})

test('what a mount namespace made at the wrong moment holds is waited for', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const project = disklessProject(t)
  assert.equal((await project.netroot('--root-mode', 'copy')).status, 0)
  const unmount = project.mount()
  const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', 'echo; exec sleep 3'])
  t.after(() => holder.kill())
  await once(holder.stdout, 'data')
  unmount()
  const diff = await project.netroot('diff', 'oneil')
  assert.equal(diff.stdout, "oneil: its root is its generation's\n", diff.stderr)
})

test('the same again changes nothing; in another folder, the same bytes', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  assert.equal((await project.netroot('--root-mode', 'copy')).status, 0)
  const images = () => run('find', [project.server('/'), '-name', '*.ext4', '-printf', '%p %T@ %b\n']).stdout
  const [first, firstImages] = [listing(project.server('/'), isImage), images()]
  const said = await project.netroot('--root-mode', 'copy')
  assert.match(said.stdout, /everything is laid out already/)
  assert.deepEqual(listing(project.server('/'), isImage), first)
  assert.equal(images(), firstImages)
  const other = disklessProject(t)
  assert.equal((await other.netroot('--root-mode', 'copy')).status, 0)
  project.mount()
  other.mount()
  assert.deepEqual(listing(other.server('/'), isImage), listing(project.server('/'), isImage))
})

test('a change is another edition; rollback points back; prune keeps what may be running', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  const copy = ['--root-mode', 'copy']
  assert.equal((await project.netroot(...copy)).status, 0)
  const current = (node: string) => readlinkSync(project.server(`${STATE}/nodes/${node}/current`))
  const first = current('oneil')
  const start = (edition: string) => {
    const unmount = project.mount()
    const booted = project.server(`${STATE}/nodes/oneil/${edition}/private/root/var/lib/piimage`)
    mkdirSync(booted, { recursive: true })
    writeFileSync(join(booted, 'booted'), '')
    unmount()
  }
  start(first)

  project.edit((text) => text.replace('timezone: Europe/Amsterdam', 'timezone: Europe/Rome'))
  const said = await project.netroot(...copy, '--node', 'oneil')
  assert.match(said.stdout, /laid out oneil /)
  const second = current('oneil')
  assert.notEqual(second, first)
  const exports = () => read(project.server('/etc/exports.d/piimage.exports'))
  const old = `${STATE}/nodes/oneil/${first}/private/root`
  assert.ok(exports().includes(old), 'what it runs on stays exported')
  assert.ok(exports().includes('nodes/carter/'), 'the other node stays served')
  assert.deepEqual(readdirSync(project.server(`${STATE}/tftp`)).length, 3)

  project.edit((text) => text.replace("01', model: pi3b+", "01', model: pi4"))
  assert.equal((await project.netroot(...copy, '--node', 'carter')).status, 0)
  assert.ok(existsSync(project.server(`${STATE}/tftp/bootcode.bin`)), 'oneil still asks for it')
  assert.equal((await project.netroot('rollback', '--node', 'carter')).status, 0)
  await project.netroot('prune', '--keep', '0')

  assert.equal((await project.netroot('rollback', '--node', 'oneil')).status, 0)
  assert.equal(current('oneil'), first)
  const none = await project.netroot('rollback', '--node', 'carter')
  assert.equal(none.status, 7)
  assert.match(none.stderr, /carter has no earlier edition/)
  assert.equal((await project.netroot(...copy)).status, 0)
  assert.equal(current('oneil'), second)

  // Nobody saw it start the second one, so it may still run on the first.
  assert.match(
    (await project.netroot('prune', '--keep', '0')).stdout,
    /there is nothing to remove|removes edition/,
  )
  assert.ok(existsSync(project.server(old)))
  start(second)
  assert.equal((await project.netroot('prune', '--keep', '0')).status, 0)
  assert.ok(!existsSync(project.server(old)))
  assert.ok(!exports().includes(old))
  assert.ok(existsSync(project.server(`${STATE}/nodes/oneil/${second}/boot/cmdline.txt`)))
})

test('an edition keeps its address: what runs on the old one stays exported, and a rollback brings it along', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.ext4', 'e2fsprogs') === undefined) return
  const project = disklessProject(t)
  const clients = (node: string) => {
    const { exports } = project.served().nodes.find(({ name }) => name === node) ?? assert.fail(node)
    return exports.map(({ folder, client }) => `${client} ${/volumes/.test(folder) ? 'volume' : 'root'}`)
  }
  const addresses = () => project.served().nodes.map(({ name, ip }) => `${name} ${ip}`)
  assert.equal((await project.netroot()).status, 0)
  // Two that change places.
  const swap = (text: string) =>
    text.replace(/192\.168\.2\.1([12])\/24/g, (_, end) => `192.168.2.1${end === '1' ? 2 : 1}/24`)
  project.edit(swap)
  const said = await project.netroot()
  assert.equal(said.status, 0, said.stderr)
  assert.deepEqual(addresses(), ['oneil 192.168.2.12', 'carter 192.168.2.11'])
  assert.deepEqual(clients('oneil'), [
    '192.168.2.12 root',
    '192.168.2.11 root',
    '192.168.2.12 volume',
    '192.168.2.11 volume',
  ])
  assert.deepEqual(clients('carter'), ['192.168.2.11 root', '192.168.2.12 root'])
  assert.equal((await project.netroot('rollback')).status, 0)
  assert.deepEqual(addresses(), ['oneil 192.168.2.11', 'carter 192.168.2.12'])
  assert.match(read(project.server(`${STATE}/tftp/a1b2c3d4/cmdline.txt`)), / ip=192\.168\.2\.11:/)
  const hosts = read(project.server('/etc/piimage/netroot/dhcp-hosts'))
  assert.match(hosts, /^b8:27:eb:00:00:01,192\.168\.2\.12,carter$/m)
  // One that moves alone.
  project.edit((text) => text.replace('192.168.2.11/24', '192.168.2.99/24'))
  assert.equal((await project.netroot()).status, 0)
  assert.ok(
    clients('carter').includes('192.168.2.99 root') && clients('carter').includes('192.168.2.12 root'),
  )
})

test('a rollback to an address of a network that the server has left is refused, before anything is changed', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  const copy = ['--root-mode', 'copy']
  const before = await project.netroot(...copy)
  assert.equal(before.status, 0, before.stderr)
  project.edit((text) => text.replaceAll('192.168.2.', '192.168.7.'))
  const moved = await project.netroot(...copy)
  assert.equal(moved.status, 0, moved.stderr)
  const served = project.served()
  const cmdline = read(project.server(`${STATE}/tftp/a1b2c3d4/cmdline.txt`))
  for (const nodes of [[], ['--node', 'oneil']]) {
    const said = await project.netroot('rollback', ...nodes)
    assert.equal(said.status, 7, said.stderr)
    assert.match(
      said.stderr,
      /oneil: its edition \S+ has the address 192\.168\.2\.11, which is not on the network of \S+ \(192\.168\.7\.0\/24\)\n.*piimage netroot makes an edition/,
    )
    assert.doesNotMatch(said.stdout, /at its next boot/)
  }
  assert.deepEqual(project.served(), served)
  assert.equal(read(project.server(`${STATE}/tftp/a1b2c3d4/cmdline.txt`)), cmdline)
})

for (const [name, join] of [
  ['docker', ''],
  ['swarm', 'join: { kind: swarm, head: hammond }\n'],
] as const)
  test(`${name} on a node without storage is refused, with the line to write`, async (t) => {
    const project = disklessProject(t)
    project.edit((text) => text.replace('\nnodes:\n', `\n${join}nodes:\n`))
    if (join === '')
      project.edit((text) => text.replace('carter: { boot', 'carter: { overlays: [docker], boot'))
    const said = await project.netroot('--dry-run')
    assert.equal(said.status, 2, said.stderr)
    assert.match(said.stderr, /carter gets docker and has no storage: .*\n.*storage: 8G/)
  })

test('a board that asks while it is switched gets one edition or the other, never none', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  const copy = ['--root-mode', 'copy']
  assert.equal((await project.netroot(...copy)).status, 0)
  const cmdline = project.server(`${STATE}/tftp/a1b2c3d4/cmdline.txt`)
  const first = read(cmdline)
  const answers = project.file('answers')
  const board = spawn('sh', ['-c', 'while :; do cat "$0" || echo none; done >"$1" 2>&1', cmdline, answers])
  t.after(() => board.kill())
  project.edit((text) => text.replace('Europe/Amsterdam', 'Europe/Rome'))
  assert.equal((await project.netroot(...copy)).status, 0)
  const second = read(cmdline)
  for (const _ of [1, 2]) {
    assert.equal((await project.netroot('rollback')).status, 0)
    assert.equal(read(cmdline), first)
    assert.equal((await project.netroot(...copy)).status, 0)
  }
  board.kill()
  assert.equal(read(cmdline), second)
  const seen = new Set(read(answers).split('\n').slice(0, -1))
  assert.deepEqual([...seen].sort(), [first.trim(), second.trim()].sort())
})

test('remove takes away all of it, and nothing of others', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  for (const folder of ['/etc/exports.d', '/srv']) mkdirSync(project.server(folder), { recursive: true })
  writeFileSync(project.server('/etc/exports.d/theirs.exports'), '/data 10.0.0.1(ro,no_subtree_check)\n')
  const before = listing(project.server('/'))
  const laid = await project.netroot('--root-mode', 'copy')
  assert.equal(laid.status, 0, laid.stderr)
  const asked = await project.netroot('remove')
  assert.equal(asked.status, 2)
  assert.ok(existsSync(project.server(STATE)))
  assert.equal((await project.netroot('remove', '--yes')).status, 0)
  assert.deepEqual(listing(project.server('/')), before)
  assert.equal((await project.netroot('remove', '--yes')).status, 7)
})

test('a secret in a boot file fails the layout before anything serves it', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  mkdirSync(project.file('overlays/note'), { recursive: true })
  writeFileSync(
    project.file('overlays/note/overlay.yaml'),
    [
      'name: note',
      'summary: A note on the boot partition',
      'edits:',
      '  - file: { path: note.txt, content: "join with SWMTKN-1-0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghij" }',
      '',
    ].join('\n'),
  )
  project.edit((text) => text.replace('  - cgroups', '  - cgroups\n  - note'))
  const said = await project.netroot('--root-mode', 'copy')
  assert.equal(said.status, 7, said.stderr)
  assert.match(said.stderr, /TFTP tree would hold a swarm's join token, in note\.txt/)
  assert.ok(!existsSync(project.server(`${STATE}/tftp`)))
})

test('a node from a card, no diskless node, no cluster key: each says what to do', async (t) => {
  const project = disklessProject(t)
  const card = await project.netroot('--node', 'hammond', '--dry-run')
  assert.equal(card.status, 2)
  assert.match(card.stderr, /hammond boots from a card\n.*boot: net/)
  project.edit((text) => text.replaceAll('boot: net, ', ''))
  const none = await project.netroot('--dry-run')
  assert.equal(none.status, 2)
  assert.match(none.stderr, /no node of .* boots from the network/)
})

test('--tar gives both trees of one node, as a copy would be laid out, without root', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  assert.equal((await project.netroot('--root-mode', 'copy')).status, 0)
  assert.equal((await project.netroot('--tar', 'n.tar')).status, 2, 'which node?')
  const tar = project.file('n.tar')
  const said = await project.netroot('--node', 'oneil', '--tar', tar)
  assert.equal(said.status, 0, said.stderr)
  assert.equal(lstatSync(tar).mode & 0o777, 0o600)
  const out = project.file('out')
  mkdirSync(out)
  assert.equal(run('tar', ['-x', '-p', '-f', tar, '-C', out]).status, 0)
  project.mount()
  const edition = realpathSync(project.server(`${STATE}/nodes/oneil/current`))
  assert.deepEqual(listing(join(out, 'boot')), listing(join(edition, 'boot')))
  assert.deepEqual(listing(join(out, 'root')), listing(join(edition, 'private/root')))
  const volume = join(out, 'volume/storage.ext4')
  const { mode, size, blocks } = lstatSync(volume)
  assert.deepEqual([mode & 0o7777, size], [0o600, 64 * 1024 * 1024])
  assert.ok(blocks * 512 < size / 4, 'holes stay holes')
  assert.equal(run('e2fsck', ['-f', '-n', volume]).status, 0)
  const folders = run('debugfs', ['-R', 'ls -l /', volume]).stdout
  for (const name of ['docker', 'containerd', 'rancher'])
    assert.match(folders, new RegExp(`40\\d+ .* ${name}$`, 'm'))
  for (const folder of [`${STATE}/volumes/oneil/export`, `${STATE}/nodes/oneil/`])
    assert.match(said.stderr, new RegExp(`${folder}\\S* 192\\.168\\.2\\.11\\(rw,`))
})

test('--tar of a node without storage has no volume, and one of 200 GB takes what is in it', async (t) => {
  const project = disklessProject(t)
  const contents = async (node: string) => {
    const said = await project.netroot('--node', node, '--tar', project.file(`${node}.tar`))
    assert.equal(said.status, 0, said.stderr)
    return run('tar', ['-tvf', project.file(`${node}.tar`)]).stdout
  }
  project.edit((text) => text.replace('storage: 64M', 'storage: 200G'))
  assert.match(await contents('oneil'), / 214748364800 .*volume\/storage\.ext4$/m)
  assert.ok(lstatSync(project.file('oneil.tar')).size < 200e6)
  project.edit((text) =>
    text.replace(
      'carter: { boot: net,',
      'carter: { boot: net, overlays: [{ docker: false }, { swarm: false }],',
    ),
  )
  assert.doesNotMatch(await contents('carter'), /volume/)
})

test('without root it says so, and leaves nothing', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  run('chmod', ['-R', 'a+rX', project.folder])
  mkdirSync(project.server('/'))
  const cli = join(packageRoot(), 'build/src/cli.js')
  const words = ['netroot', '--prefix', project.server('/'), '--cache', project.file('cache')]
  run('chown', ['-R', '65534', project.file('cache'), project.file('cluster.key')])
  const said = run('setpriv', ['--reuid=65534', '--clear-groups', process.execPath, cli, ...words], {
    cwd: project.folder,
  })
  assert.equal(said.status, 7, said.stderr)
  assert.match(
    said.stderr,
    /server.* may not be touched \(EACCES\)\n {2}The trees belong to root: run it with sudo/,
  )
  assert.deepEqual(readdirSync(project.server('/')), [])
})
