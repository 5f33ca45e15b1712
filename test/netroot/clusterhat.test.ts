/** Zeros on a ClusterHAT: an archive as the image, the wire that ClusterCTRL's initramfs makes, its folders. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { needRoot, needTool, run } from '../support/tools.ts'
import { type Diskless, disklessProject, listing } from './diskless.ts'

const IMAGE = 'clusterctrl-bookworm-armhf-lite@2024-07-04-3'
const STATE = '/srv/piimage/hat'

/** What `usbboot.tar.xz` of ClusterCTRL has, as far as anybody looks. */
function makeArchive(project: Diskless): void {
  const tree = project.file('usbboot')
  const put = (path: string, content: string) => {
    mkdirSync(join(tree, path, '..'), { recursive: true })
    writeFileSync(join(tree, path), content)
  }
  put(
    'boot/firmware/cmdline.txt',
    'console=serial0,115200 console=tty1 root=/dev/nfs nfsroot=172.19.180.254:/var/lib/clusterctrl/nfs/p252 rw ip=172.19.180.252:172.19.180.254::255.255.255.0:p252:usb0.10:static elevator=deadline fsck.repair=yes rootwait\n',
  )
  put('boot/firmware/config.txt', 'auto_initramfs=1\ninitramfs initramfs8.img\n[all]\n')
  put('boot/firmware/issue.txt', 'Raspberry Pi reference 2024-07-04\n')
  for (const name of [
    'bootcode.bin',
    'start.elf',
    'fixup.dat',
    'kernel.img',
    'kernel8.img',
    'initramfs8.img',
  ])
    put(`boot/firmware/${name}`, `${name}\n`)
  for (const name of ['bcm2708-rpi-zero.dtb', 'bcm2708-rpi-zero-w.dtb', 'bcm2710-rpi-zero-2-w.dtb'])
    put(`boot/firmware/${name}`, `${name}\n`)
  put('etc/hosts', '127.0.0.1\tlocalhost\n127.0.1.1\tp252\n')
  put(
    'etc/fstab',
    'proc /proc proc defaults 0 0\n172.19.180.254:/var/lib/clusterctrl/nfs/p252/boot/firmware /boot/firmware nfs defaults 0 0\n',
  )
  put('etc/network/interfaces', 'source /etc/network/interfaces.d/*\n')
  put('etc/ssh/ssh_host_rsa_key', 'everybody has this one\n')
  put('usr/bin/true', '#!/bin/sh\n')
  const packed = run('tar', [
    '-C',
    tree,
    '--owner=0',
    '--group=0',
    '-cJf',
    project.file('usbboot.tar.xz'),
    '.',
  ])
  assert.equal(packed.status, 0, packed.stderr)
}

function hatProject(t: TestContext): Diskless {
  const project = disklessProject(t)
  makeArchive(project)
  const bytes = readFileSync(project.file('usbboot.tar.xz'))
  const source = { kind: 'computed', checked: '2026-01-01' }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const image = {
    ...{ os: 'clusterctrl', release: 'bookworm', version: '2024-07-04-3', arch: 'armhf', variant: 'lite' },
    ...{ url: 'file:usbboot.tar.xz', format: 'tar.xz', extracted: null },
    download: { size: bytes.length, sha256, source },
  }
  writeFileSync(
    project.file('images.lock.json'),
    JSON.stringify({ lockfileVersion: 1, images: { [IMAGE]: image } }),
  )
  writeFileSync(
    project.file('cluster.yaml'),
    `cluster: hat
image: ${IMAGE}
user: { name: ops, sshKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe demo@piimage] }
network: { cidr: 172.19.181.0/24, gateway: 172.19.181.254, dns: [172.19.181.254] }
overlays: [ssh]
netroot: { server: hammond }
nodes:
  hammond: { model: pi4, clusterhat: cnat }
  oneil: { model: zero2w, clusterhat: p1, boot: net }
  carter: { model: zerow, clusterhat: p2, boot: net }
`,
  )
  return project
}

test('Zeros boot over USB from an archive: a root, a slot and an export for each', async (t) => {
  if (!needRoot(t) || needTool(t, 'xz', 'xz-utils') === undefined) return
  const project = hatProject(t)
  const before = existsSync(project.server('/'))
  const dry = await project.netroot('--dry-run')
  assert.equal(dry.status, 0, dry.stderr)
  assert.equal(existsSync(project.server('/')), before)
  mkdirSync(project.server('/srv'), { recursive: true })
  const empty = listing(project.server('/'))

  const said = await project.netroot('--root-mode', 'copy')
  assert.equal(said.status, 0, said.stderr)
  const unmount = project.mount()
  for (const { name, usbSlot, ip, rootFolder, tftpNames, exports } of project.served().nodes) {
    assert.equal(ip, `172.19.180.${usbSlot}`)
    assert.deepEqual(tftpNames, [])
    assert.deepEqual(
      exports.map(({ client }: { client: string }) => client),
      [ip],
    )
    const slot = project.server(`/var/lib/clusterctrl/nfs/p${usbSlot}`)
    assert.equal(readlinkSync(join(slot, 'boot')), `${STATE}/nodes/${name}/current/boot`)
    const boot = realpathSync(project.server(`${STATE}/nodes/${name}/current/boot`))
    const cmdline = readFileSync(join(boot, 'firmware/cmdline.txt'), 'utf8')
    // As nfs-top/00_clusterctrl reads it.
    const id = run('sed', ['s#.*:p\\(.*\\):usb0.10.*#\\1#'], { input: cmdline }).stdout.trim()
    assert.equal(id, String(usbSlot))
    assert.match(
      cmdline,
      new RegExp(
        `nfsroot=172\\.19\\.180\\.254:${rootFolder},vers=3,.* ip=${ip}:172\\.19\\.180\\.254::255\\.255\\.255\\.0:p${usbSlot}:usb0\\.10:off `,
      ),
    )
    assert.equal(statSync(join(boot, 'kernel.img')).mode & 0o777, 0o644)
    const root = project.server(rootFolder)
    assert.equal(readFileSync(join(root, 'etc/hostname'), 'utf8'), `${name}\n`)
    assert.equal(readFileSync(join(root, 'etc/fstab'), 'utf8'), 'proc /proc proc defaults 0 0\n')
    assert.ok(!existsSync(join(root, 'etc/ssh/ssh_host_rsa_key')), 'the key of everybody is gone')
    assert.ok(!existsSync(join(root, 'boot/firmware/kernel.img')))
    assert.ok(existsSync(join(root, 'boot/firmware/piimage/install.sh')))
  }
  unmount()
  const exports = readFileSync(project.server('/etc/exports.d/piimage.exports'), 'utf8')
  assert.match(exports, / 172\.19\.180\.1\(rw,/)
  assert.match(exports, / 172\.19\.180\.2\(rw,/)
  assert.ok(!existsSync(project.server('/etc/dnsmasq.d/piimage-netroot.conf')), 'nobody asks dnsmasq')

  assert.equal((await project.netroot('remove', '--yes')).status, 0)
  assert.deepEqual(listing(project.server('/')), empty)
})

test("somebody else's tree in a slot is not replaced", async (t) => {
  if (!needRoot(t)) return
  const project = hatProject(t)
  mkdirSync(project.server('/var/lib/clusterctrl/nfs/p2/boot'), { recursive: true })
  const said = await project.netroot('--root-mode', 'copy')
  assert.equal(said.status, 7)
  assert.match(said.stderr, /p2\/boot is there and not piimage's/)
})
