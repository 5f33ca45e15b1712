/** Two Zeros on a ClusterHAT that boot from an archive, as ClusterCTRL publishes them. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { run } from '../support/tools.ts'
import { type Diskless, disklessProject } from './diskless.ts'

const IMAGE = 'clusterctrl-bookworm-armhf-lite@2024-07-04-3'
export const STATE = '/srv/piimage/hat'

/** What `usbboot.tar.xz` of ClusterCTRL has, as far as anybody looks. */
function makeArchive(project: Diskless, change: (tree: string) => void): void {
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
  change(tree)
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

export interface HatOptions {
  /** Told the folder that is packed, before it is. */
  change?: (tree: string) => void
  /** In place of the archive that was packed. */
  replace?: (tar: Buffer) => Buffer
}

export function hatProject(t: TestContext, { change = () => {}, replace }: HatOptions = {}): Diskless {
  const project = disklessProject(t)
  makeArchive(project, change)
  if (replace !== undefined) {
    const tar = run('xz', ['-d', '-f', project.file('usbboot.tar.xz')])
    assert.equal(tar.status, 0, tar.stderr)
    writeFileSync(project.file('usbboot.tar'), replace(readFileSync(project.file('usbboot.tar'))))
    const packed = run('xz', ['-1', project.file('usbboot.tar')])
    assert.equal(packed.status, 0, packed.stderr)
  }
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
