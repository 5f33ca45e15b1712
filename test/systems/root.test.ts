/** What the images of the Debian kind bring along for a card, and a root on a server must not have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusterctrl } from '../../src/systems/clusterctrl.ts'
import { raspios } from '../../src/systems/raspios.ts'
import { adjustRoot, withoutCard } from '../../src/systems/root/adjust.ts'
import { withOwnName } from '../../src/systems/root/identity.ts'
import { networkEdits } from '../../src/systems/root/network.ts'
import type { RootEdit } from '../../src/systems/root/root-edit.ts'
import type { RootSnapshot } from '../../src/systems/root/root-snapshot.ts'

const lines: { name: string; card: string; left: string }[] = [
  {
    name: 'bullseye',
    card: 'console=serial0,115200 console=tty1 root=PARTUUID=9730496b-02 rootfstype=ext4 fsck.repair=yes rootwait quiet init=/usr/lib/raspi-config/init_resize.sh',
    left: 'console=serial0,115200 console=tty1',
  },
  {
    name: 'bookworm',
    card: 'console=tty1 root=PARTUUID=0de30de3-02 rootfstype=ext4 fsck.repair=yes rootwait cgroup_enable=memory',
    left: 'console=tty1 cgroup_enable=memory',
  },
  {
    name: 'trixie',
    card: 'console=tty1 root=PARTUUID=0de30de3-02 rootfstype=ext4 fsck.repair=yes rootwait resize cfg80211.ieee80211_regdom=NL',
    left: 'console=tty1 cfg80211.ieee80211_regdom=NL',
  },
  // A token that merely starts like one of the card's is another token.
  {
    name: 'likeness',
    card: 'rootless=1 resizex=1 initcall_debug root=/dev/sda2',
    left: 'rootless=1 resizex=1 initcall_debug',
  },
  {
    name: 'clusterctrl',
    card: 'console=tty1 root=PARTUUID=1 init=/usr/sbin/reconfig-clusterctrl p3',
    left: 'console=tty1',
  },
]
for (const { name, card, left } of lines) {
  test(`kernel parameters without those of a card: ${name}`, () => {
    const { served } = name === 'clusterctrl' ? clusterctrl : raspios
    assert.equal(served.kernel(card.split(' ')).join(' '), left)
  })
}

test('fstab keeps what is not the card', () => {
  const fstab =
    'proc            /proc           proc    defaults          0       0\n' +
    'PARTUUID=9730496b-01  /boot/firmware  vfat    defaults          0       2\n' +
    'PARTUUID=9730496b-02  /               ext4    defaults,noatime  0       1\n' +
    '# a swapfile is not a swap partition, no line here\n/var/swap none swap sw 0 0\ntmpfs /tmp tmpfs nosuid 0 0\n'
  assert.equal(
    withoutCard(fstab),
    'proc            /proc           proc    defaults          0       0\n' +
      '# a swapfile is not a swap partition, no line here\ntmpfs /tmp tmpfs nosuid 0 0\n',
  )
  assert.equal(withoutCard('LABEL=x /boot vfat defaults 0 2\n'), '')
})

test('hosts has one line for the node itself', () => {
  const stock = '127.0.0.1\tlocalhost\n::1\tlocalhost\n\n127.0.1.1\traspberrypi\n'
  const hosts = withOwnName(stock, { name: 'n1', domain: 'lab.lan' })
  assert.equal(hosts, '127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tn1.lab.lan n1\n')
  assert.equal(withOwnName(hosts, { name: 'n1', domain: 'lab.lan' }), hosts)
  assert.equal(withOwnName('', { name: 'n1' }), '127.0.0.1\tlocalhost\n127.0.1.1\tn1\n')
})

const snapshot = (
  has: string[],
  { texts = {}, links = {} }: { texts?: Record<string, string>; links?: Record<string, string> } = {},
): RootSnapshot => ({
  has: (path) => has.includes(path),
  text: (path) => texts[path] ?? '',
  target: (path) => links[path] ?? '',
})
const paths = (edits: readonly RootEdit[]): string[] => edits.map(({ path }) => path)
const textOf = (edits: readonly RootEdit[], path: string): string => {
  const edit = edits.find((one) => one.path === path)
  assert.ok(edit?.kind === 'file', `${path} is in ${paths(edits).join(' ')}`)
  return new TextDecoder().decode(edit.content)
}

test('units of a card are masked where the image has them, swap goes to memory', () => {
  const trixie = adjustRoot(
    snapshot([
      '/usr/lib/systemd/system/rpi-resize.service',
      '/usr/lib/systemd/system/systemd-growfs@.service',
      '/etc/rpi/swap.conf',
      '/etc/cloud',
    ]),
  )
  const masks = trixie.filter((edit) => edit.kind === 'link' && edit.target === '/dev/null')
  assert.deepEqual(paths(masks), [
    '/etc/systemd/system/rpi-resize.service',
    '/etc/systemd/system/systemd-growfs@.service',
  ])
  assert.equal(textOf(trixie, '/etc/rpi/swap.conf.d/90-piimage.conf'), '[Main]\nMechanism=zram\n')
  assert.match(
    textOf(trixie, '/etc/cloud/cloud.cfg.d/99-piimage-netroot.cfg'),
    /network: \{ config: disabled \}/,
  )
  const bullseye = adjustRoot(snapshot(['/etc/init.d/resize2fs_once', '/etc/init.d/dphys-swapfile']))
  assert.ok(paths(bullseye).includes('/etc/systemd/system/resize2fs_once.service'))
  assert.ok(paths(bullseye).includes('/etc/systemd/system/dphys-swapfile.service'))
  assert.ok(!paths(bullseye).some((path) => path.includes('cloud')))
})

const network = {
  device: 'eth0',
  ip: '10.3.50.11',
  prefix: 24,
  gateway: '10.3.50.1',
  dns: ['10.3.50.1'],
  domain: 'lab',
}

test('no daemon takes the interface of the root', () => {
  const nm = networkEdits(network, snapshot(['/etc/NetworkManager']))
  assert.match(
    textOf(nm, '/etc/NetworkManager/conf.d/90-piimage-netroot.conf'),
    /unmanaged-devices=interface-name:eth0/,
  )
  assert.equal(textOf(nm, '/etc/resolv.conf'), '# Written by piimage.\nsearch lab\nnameserver 10.3.50.1\n')
  const networkd = networkEdits(
    network,
    snapshot(['/etc/systemd/network'], {
      links: { '/etc/resolv.conf': '../run/systemd/resolve/stub-resolv.conf' },
    }),
  )
  assert.match(textOf(networkd, '/etc/systemd/network/00-piimage-eth0.network'), /KeepConfiguration=yes/)
  assert.match(textOf(networkd, '/etc/systemd/resolved.conf.d/90-piimage.conf'), /DNS=10\.3\.50\.1/)
  assert.ok(!paths(networkd).includes('/etc/resolv.conf'), 'the link to resolved stays')
  const dhcpcd = networkEdits(
    network,
    snapshot(['/etc/dhcpcd.conf'], { texts: { '/etc/dhcpcd.conf': 'hostname\n' } }),
  )
  assert.match(textOf(dhcpcd, '/etc/dhcpcd.conf'), /^hostname\n(.|\n)*\ndenyinterfaces eth0\n/)
})
